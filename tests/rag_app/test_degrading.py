"""What an answer tells of its way, and what is left out where a server is away."""

from rag_app.assembly import application as assembly
from rag_app.results import Answer
from rag_app.service import QueryOptions
from rag_app.settings import override
from tests.embeddings_server import DIMENSION, embeddings_server
from tests.openai_server import Reply
from tests.rag_app.support import prose, write

__all__ = ["embeddings_server"]

ROW = {
    "model_id": "tests/pairs", "dimension": DIMENSION, "pooling": "mean", "causal": True,
    "licence": "MIT",
}  # fmt: skip
QUESTION = "Where does the lantern hang?"


async def answered(application, **options) -> Answer:
    *_, answer = [
        event async for event in application.ask("c", QUESTION, (), QueryOptions(**options))
    ]
    return answer


async def test_hybrid_goes_on_without_its_encoder_and_says_so(
    settings, embeddings_server, tmp_path
):
    embeddings_server.reset()
    server = embeddings_server.start()
    named = {"pairs": {"row": ROW, "backend": "vllm", "url": server.url}}
    there = override(settings, {"encoder": {"name": "pairs"}, "encoders": named})
    application, _ = assembly.open_application(there)
    try:
        await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a", 60)})])
        found = await application.search("c", QUESTION)
        assert found.trace.candidates.keys() == {"dense", "bm25", "fused"}
        server.stop()
        found = await application.search("c", QUESTION)
    finally:
        await application.close()
    (retrieve,) = [stage for stage in found.trace.stages if stage["stage"] == "retrieve"]
    assert retrieve["fallback"].startswith("BM25 alone searched: ")
    assert server.url in retrieve["fallback"]
    assert found.trace.candidates.keys() == {"bm25"}
    assert found.hits


async def test_grades_and_the_passages_of_the_reader_are_traced(settings, openai_server, tmp_path):
    openai_server.respond = lambda body: Reply(str(len(str(body["messages"])) % 6))
    chosen = {
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
        "condense": {"kind": "none"},
        "rerank": {"kind": "qwen", "candidates": 6},
        "reader": {"kind": "quote", "passages": 2},
    }
    application, _ = assembly.open_application(override(settings, chosen))
    try:
        await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a", 60)})])
        answer = await answered(application, top_k=3)
    finally:
        await application.close()
    ranking = answer.trace.candidates["reranked"]
    assert [each["passage_id"] for each in ranking[:3]] == [hit.passage_id for hit in answer.hits]
    assert [each["grade"] for each in ranking[:3]] == [hit.grade for hit in answer.hits]
    assert all(0 <= hit.grade <= 1 for hit in answer.hits)
    assert answer.trace.given == [hit.passage_id for hit in answer.hits[:2]]
    assert answer.trace.used == answer.trace.given
