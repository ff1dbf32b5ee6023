"""The application of the tests beside."""

from tests.rag_app.conftest import application, encoder, settings

__all__ = ["application", "encoder", "settings"]
