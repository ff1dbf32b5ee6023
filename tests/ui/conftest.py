from tests.openai_server import openai_server
from tests.rag_app.conftest import settings

__all__ = ["openai_server", "settings"]
