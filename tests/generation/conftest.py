"""Fixtures for the tests of generation."""

from tests.openai_server import openai_server

__all__ = ["openai_server"]
