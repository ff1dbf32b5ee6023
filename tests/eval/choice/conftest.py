"""A scratch application with the documents of `quiz`, and what chooses without any model."""

import pytest

from tests.eval.choice.quiz import write_documents, write_questions


@pytest.fixture
def documents(tmp_path):
    return write_documents(tmp_path / "town")


@pytest.fixture
def questions(tmp_path):
    return write_questions(tmp_path / "questions.jsonl")


@pytest.fixture
async def town(application, documents):
    """The name of a collection that holds the documents."""
    await application.ingest("town", [documents])
    return "town"
