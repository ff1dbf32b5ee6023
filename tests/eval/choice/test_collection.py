"""A run's collection is brought up to date, or named as what it is not."""

from pathlib import Path

import pytest

from data.errors import RagAppError
from eval.choice.arms import parse_all
from eval.choice.collection import collection_of, prepare
from eval.choice.plan import ChoicePlan
from eval.errors import EvalError
from eval.runs.collections import require_unchanged
from rag_app.settings import override

RAG = parse_all("rag")


def plan(**more):
    return ChoicePlan("jsonl:x", "rag", **more)


@pytest.fixture
def usual(settings):
    return override(settings, {"encoder": {"name": "hashing"}})


async def test_a_corpus_beside_the_data_set_gets_a_collection_of_its_own(
    application, usual, documents
):
    for passages in (60, 0):
        told = []
        collection, indexes = await prepare(application, plan(), usual, documents, RAG, told.append)
        assert collection == "eval-town"
        assert [index.documents for index in indexes] == [30]
        assert (told[-1].passages if told else 0) == passages, (
            "a second time there is nothing to do"
        )


async def test_a_collection_that_is_named_is_taken_as_it_is(application, usual, documents, town):
    collection, _ = await prepare(application, plan(collection=town), usual, Path("not there"), RAG)
    assert collection == town


async def test_a_corpus_that_is_named_goes_into_the_collection_that_is_named(
    application, usual, documents
):
    asked = plan(collection="c", corpus=str(documents))
    assert (await prepare(application, asked, usual, None, RAG))[0] == "c"


async def test_an_empty_collection_is_refused(application, usual, documents, town):
    for document in await application.documents(town):
        await application.delete_document(town, document.source)
    with pytest.raises(EvalError, match=r"collection town is empty.*rag-app ingest"):
        await prepare(application, plan(collection=town), usual, None, RAG)


async def test_a_collection_that_is_not_there_is_refused(application, usual):
    with pytest.raises(RagAppError, match="none"):
        await prepare(application, plan(collection="none"), usual, None, RAG)


async def test_an_encoder_without_an_index_is_refused_before_anything_is_asked(
    application, usual, town
):
    arms = parse_all("rag:dense@reasonir-8b")
    with pytest.raises(EvalError, match=r"no index of encoder reasonir-8b.*indexes build"):
        await prepare(application, plan(collection=town), usual, None, arms)


async def test_documents_that_cannot_be_read_are_named(application, usual, tmp_path):
    (tmp_path / "bad.pdf").write_bytes(b"no PDF")
    with pytest.raises(EvalError, match=r"bad\.pdf could not be ingested"):
        await prepare(application, plan(corpus=str(tmp_path / "bad.pdf")), usual, None, RAG)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("openstax/passages.jsonl", "eval-openstax"),
        ("scifact/corpus.jsonl", "eval-scifact"),
        ("books/physics 1.pdf", "eval-physics-1"),
        ("My books", "eval-My-books"),
    ],
)
def test_a_corpus_names_its_collection(tmp_path, corpus, name):
    path = tmp_path / corpus
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert collection_of(path) == name


def test_a_corpus_that_is_not_there_is_refused():
    with pytest.raises(EvalError, match="does not exist"):
        collection_of(Path("nowhere/at all"))


def test_a_run_goes_on_with_the_passages_that_it_began_with_only():
    index = {"encoder": "e", "fingerprint": "f", "documents": 1, "passages": 2, "active": True}
    require_unchanged({"c": [index]}, {"c": [{**index, "active": False}]})
    for change in ({"fingerprint": "g"}, {"documents": 2}, {"passages": 3}):
        with pytest.raises(EvalError, match="collection c has changed"):
            require_unchanged({"c": [index]}, {"c": [{**index, **change}]})
    with pytest.raises(EvalError, match="collection d has changed"):
        require_unchanged({"c": [index]}, {"d": [index]})
