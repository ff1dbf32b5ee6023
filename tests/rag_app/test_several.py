"""One question to several collections."""

from pathlib import Path

import pytest

from rag_app.application import Application
from rag_app.results import Answer
from rag_app.service import QueryOptions
from retrieval.index.errors import UnknownCollection
from tests.rag_app.support import write


@pytest.fixture
async def asked(application: Application, tmp_path: Path) -> Application:
    texts = {"harbour": "The lantern hangs on the pier.", "mill": "The lantern hangs in the mill."}
    for name, text in texts.items():
        folder = write(tmp_path / name, {f"{name}.md": text, "both.md": "No lantern is blue."})
        await application.ingest(name, [folder])
    return application


async def test_passages_and_citations_name_their_collection(asked: Application) -> None:
    options = QueryOptions(also=("mill", "mill"), top_k=4)
    found = await asked.search("harbour", "lantern", options)
    assert sorted((hit.source, hit.collection) for hit in found.hits) == [
        ("both.md", "harbour"), ("harbour.md", "harbour"), ("mill.md", "mill"),
    ]  # fmt: skip
    assert all(hit.ranks["collections"] for hit in found.hits)
    [answer] = [
        event
        async for event in asked.ask("harbour", "Where does the lantern hang?", (), options)
        if isinstance(event, Answer)
    ]
    assert answer.citations
    for cited in answer.citations:
        context = await asked.context(cited.collection, cited.passage_id)
        assert context.source == cited.source
    alone = await asked.search("harbour", "lantern")
    assert {hit.collection for hit in alone.hits} == {""}


async def test_documents_are_chosen_in_the_first_collection_alone(asked: Application) -> None:
    options = QueryOptions(also=("mill",), sources=("harbour.md",))
    found = await asked.search("harbour", "lantern", options)
    assert {(hit.source, hit.collection) for hit in found.hits} == {
        ("harbour.md", "harbour"), ("mill.md", "mill"), ("both.md", "mill"),
    }  # fmt: skip


async def test_a_collection_that_is_not_there_is_named(asked: Application) -> None:
    with pytest.raises(UnknownCollection, match="gone"):
        await asked.search("harbour", "lantern", QueryOptions(also=("gone",)))
