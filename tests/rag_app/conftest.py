"""The application on a scratch folder, with an encoder that needs no weights."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.settings import Settings, load_settings
from tests.encoders import HashingEncoder
from tests.openai_server import openai_server
from tests.rag_app.support import OVERLAP, TOKENS

__all__ = ["openai_server"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small chunks, and a storage folder of its own."""
    return load_settings(
        overrides={
            "storage": {"path": tmp_path / "storage"},
            "chunking": {"tokens": TOKENS, "overlap": OVERLAP},
        }
    )


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> HashingEncoder:
    """What every application of the test encodes with."""
    encoder = HashingEncoder()
    monkeypatch.setattr(components, "encoder", lambda *_: encoder)
    monkeypatch.setattr(components, "word_counter", lambda _: lambda text: len(text.split()))
    return encoder


@pytest.fixture
async def application(settings: Settings, encoder: HashingEncoder) -> AsyncIterator[Application]:
    """An application, closed at the end."""
    application, _ = assembly.open_application(settings)
    yield application
    await application.close()
