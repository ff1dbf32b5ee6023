"""A question set from a collection."""

import pytest

from eval.datasets.generated.building import build
from eval.datasets.generated.dataset import dataset, document_of, notes, still_there
from eval.errors import EvalError
from rag_app.service import QueryOptions
from rag_app.settings import override
from tests.openai_server import Reply
from tests.rag_app.support import prose, write

CHUNKS = {"chunking": {"tokens": 64, "overlap": 8}}


@pytest.fixture
def settings(settings):
    return override(settings, CHUNKS)


@pytest.fixture
async def collection(application, tmp_path) -> str:
    files = {f"{name}.txt": prose(name, 30) for name in ("anna", "berta", "carla")}
    await application.ingest("c", [write(tmp_path / "in", files)])
    return "c"


async def test_templates_ask_about_all_documents_and_always_the_same(
    application, settings, collection
) -> None:
    built = await build(application, settings, collection, 6)
    assert len(built.questions) == 6
    assert {question.gold.source for question in built.questions} == {
        "anna.txt", "berta.txt", "carla.txt",
    }  # fmt: skip
    assert {question.kind for question in built.questions} == {"cloze"}
    assert built == await build(application, settings, collection, 6)
    assert built != await build(application, settings, collection, 6, seed=1)
    assert "favour" in notes(built.questions)[0]


async def test_a_connected_model_asks_and_its_failures_are_counted(
    application, settings, collection, openai_server
) -> None:
    openai_server.replies = [
        Reply('{"question": ""}'), Reply("no JSON"), Reply('{"question": "Who is at sea?"}'),
    ]  # fmt: skip
    llm = {"llm": {"api_base": openai_server.url, "model": openai_server.model, "concurrency": 1}}
    built = await build(application, override(settings, llm), collection, 4)
    assert built.outcomes == {"no_question": 1, "unparsed": 1, "asked": 4}
    assert {(q.question, q.kind, q.model) for q in built.questions} == {
        ("Who is at sea?", "llm", openai_server.model)
    }
    assert len({question.id for question in built.questions}) == 4


async def test_a_model_that_mostly_fails_is_no_reason_to_go_on(
    application, settings, collection, openai_server
) -> None:
    openai_server.replies = [Reply(status=404)]
    llm = {"llm": {"api_base": openai_server.url, "model": openai_server.model}}
    with pytest.raises(EvalError, match="4 of 4 calls failed"):
        await build(application, override(settings, llm), collection, 4)


async def test_a_collection_without_text_is_refused(application, settings, tmp_path) -> None:
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": "Short."})])
    with pytest.raises(EvalError, match="of 1 passages 0 have 30 words"):
        await build(application, settings, "c", 4)


async def test_the_gold_passage_is_found_as_the_one_relevant_document(
    application, settings, collection
) -> None:
    questions = (await build(application, settings, collection, 6)).questions
    own, named = dataset(collection, questions), document_of(questions)
    assert own.name == "own:c"
    for query, text in own.queries.items():
        found = await application.search(
            collection, text, QueryOptions(retriever="bm25", top_k=1000)
        )
        ids = [named(query, hit) for hit in found.hits]
        assert own.qrels[query].keys() <= set(ids)
        assert len(set(ids)) == len(ids)


async def test_questions_about_documents_that_changed_are_dropped_or_refused(
    application, settings, collection, tmp_path
) -> None:
    questions = (await build(application, settings, collection, 6)).questions
    assert await still_there(application, collection, questions) == questions
    await application.delete_document(collection, "anna.txt")
    left = await still_there(application, collection, questions)
    assert {question.gold.source for question in left} == {"berta.txt", "carla.txt"}
    await application.delete_document(collection, "berta.txt")
    with pytest.raises(EvalError, match=r"4 of 6 questions .* --fresh"):
        await still_there(application, collection, questions)
