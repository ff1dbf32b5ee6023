"""The application on a scratch folder, as its own tests have it."""

from tests.rag_app.conftest import application, encoder, openai_server, settings

__all__ = ["application", "encoder", "openai_server", "settings"]
