"""Fixtures for the tests of generation."""

from hypothesis import settings

from tests.openai_server import openai_server

__all__ = ["openai_server"]

# how long an example takes says more about the machine than about the law it checks
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
