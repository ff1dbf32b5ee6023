from collections.abc import Iterator

import pytest

from rag_app.errors import SettingsError
from rag_app.probes.base import Problem
from rag_app.probes.reranker import address, reranker
from rag_app.settings import Settings, override
from tests.openai_server import OpenAIServer
from tests.rag_app.probes.servers import closed_port
from tests.retrieval.reranking.scripted import RerankServer, asked, chat_odds


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    running = RerankServer()
    running.start()
    yield running
    running.close()


@pytest.fixture
def grading(openai_server: OpenAIServer) -> OpenAIServer:
    """Grades what speaks of Paris best."""
    openai_server.respond = lambda body: chat_odds({"5" if "Paris" in asked(body) else "0": 0.9})
    return openai_server


def ranked(settings: Settings, server: OpenAIServer, kind: str = "qwen", **more) -> Settings:
    own = {"api_base": server.url, "model": server.model}
    return override(settings, {"rerank": {"kind": kind, "llm": own, **more}})


async def test_two_passages_are_put_in_order(settings, grading):
    found = await reranker(ranked(settings, grading), 5)
    assert found.startswith(f"qwen: tiny-model at {grading.url} orders two passages, ")
    assert len(grading.requests) == 2


@pytest.mark.parametrize("grades", ["05", "33"])
async def test_a_model_that_cannot_order_them_is_told(settings, grading, grades):
    answers, beside = grades
    grading.respond = lambda body: chat_odds({answers if "Paris" in asked(body) else beside: 0.9})
    with pytest.raises(Problem, match="does not put a passage that answers before") as error:
        await reranker(ranked(settings, grading), 5)
    assert "template" in error.value.hint


async def test_a_server_that_is_down_is_named(settings, grading):
    there = ranked(settings, grading)
    url = f"http://127.0.0.1:{closed_port()}/v1"
    down = override(there, {"rerank": {"llm": {"api_base": url}}})
    with pytest.raises(Problem, match="gives no grades: the server cannot be reached") as error:
        await reranker(down, 5)
    assert url in error.value.message


async def test_another_model_is_told(settings, grading):
    other = override(ranked(settings, grading), {"rerank": {"llm": {"model": "other"}}})
    with pytest.raises(Problem, match="HTTP 404: The model `other` does not exist"):
        await reranker(other, 5)


async def test_an_answer_without_grades_is_told(settings, grading):
    grading.respond = None
    with pytest.raises(Problem, match="gives no grades: its answer holds none"):
        await reranker(ranked(settings, grading), 5)


async def test_a_cross_encoder_is_asked_at_its_own_address(settings, rerank_server):
    rerank_server.score = lambda text: 0.9 if "Paris" in text else 0.1
    there = ranked(settings, rerank_server, "cross-encoder", url=rerank_server.url)
    assert address(there) == rerank_server.url
    found = await reranker(there, 5)
    assert found.startswith(f"cross-encoder: tiny-model at {rerank_server.url} orders two passages")
    rerank_server.score = lambda _: 0.5
    with pytest.raises(Problem, match="does not put"):
        await reranker(there, 5)


@pytest.mark.parametrize("kind", ["rank1", "retro-star"])
async def test_models_that_reason_at_length_are_asked_for_a_token(settings, openai_server, kind):
    found = await reranker(ranked(settings, openai_server, kind), 5)
    assert found.startswith(f"{kind}: tiny-model at {openai_server.url}, one token ")
    assert "were not tried" in found
    (request,) = openai_server.requests
    assert ("prompt" in request) == (kind == "rank1")


async def test_an_unnamed_model_is_told(settings, openai_server):
    nameless = override(settings, {"rerank": {"kind": "qwen"}})
    with pytest.raises(SettingsError):
        await reranker(nameless, 5)
