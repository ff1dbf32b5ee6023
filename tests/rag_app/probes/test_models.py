import json
from collections.abc import Iterator

import pytest

from generation.errors import ReaderUnavailable
from rag_app.assembly.encoders import LicenceNotAccepted, choose
from rag_app.errors import SettingsError
from rag_app.probes.base import Problem
from rag_app.probes.models import (
    encoder,
    language_model,
    reranker,
    reranker_address,
)
from rag_app.settings import LLMSettings, Settings, override
from retrieval.encoders.errors import EncoderUnavailableError, ModelMismatchError
from tests.embeddings_server import DIMENSION, EmbeddingsServer, embeddings_server
from tests.openai_server import OpenAIServer, Reply
from tests.rag_app.probes.servers import closed_port, hanging
from tests.retrieval.reranking.scripted import RerankServer, asked, chat_odds


@pytest.fixture
def chosen(openai_server: OpenAIServer) -> LLMSettings:
    return LLMSettings(api_base=openai_server.url, model=openai_server.model)


async def test_it_is_asked_as_questions_are(chosen, openai_server):
    found = await language_model(chosen, 5)
    assert found.startswith(f"{openai_server.model} at {openai_server.url}, first words ")
    (request,) = openai_server.requests
    assert request["stream"]
    assert request["stream_options"] == {"include_usage": True}
    assert request["max_tokens"] == chosen.max_tokens
    assert [message["role"] for message in request["messages"]] == ["system", "user"]


async def test_what_a_server_refuses_is_told(chosen, openai_server):
    openai_server.respond = lambda body: (
        Reply(status=400, error="no such argument") if "stream_options" in body else Reply("Yes.")
    )
    told = await language_model(chosen, 5)
    assert told.endswith(", asked without stream_options, which it refuses")


async def test_who_reads_raw_prompts_is_asked_so(chosen, openai_server):
    await language_model(chosen, 5, chat=False)
    assert "prompt" in openai_server.requests[0]


async def test_the_length_that_the_server_tells_is_held_against_the_settings(chosen, openai_server):
    openai_server.max_model_len = 8192
    assert ", reads 8192 tokens, first words " in await language_model(chosen, 5)
    longer = chosen.model_copy(update={"context_window": 32768})
    with pytest.raises(Problem, match="reads 8192 tokens, and the settings count on 32768") as told:
        await language_model(longer, 5)
    assert "RAG_APP_LLM__CONTEXT_WINDOW" in told.value.hint


async def test_a_server_that_is_down_is_named(chosen):
    down = chosen.model_copy(update={"api_base": f"http://127.0.0.1:{closed_port()}/v1"})
    with pytest.raises(ReaderUnavailable, match="cannot be reached") as error:
        await language_model(down, 5)
    assert down.api_base in error.value.message


async def test_a_server_that_hangs_is_given_up(chosen):
    with hanging() as port, pytest.raises(ReaderUnavailable, match="did not answer in time"):
        hung = chosen.model_copy(update={"api_base": f"http://127.0.0.1:{port}/v1"})
        await language_model(hung, 0.1)


async def test_a_wrong_key_is_told_and_not_shown(chosen, openai_server):
    openai_server.replies = [Reply(status=401, error="wrong key: sk-abcdefghij")]
    with pytest.raises(ReaderUnavailable, match="refuses the key") as error:
        await language_model(chosen, 5)
    assert "sk-" not in str(error.value)


async def test_another_model_is_told_with_those_there_are(chosen, openai_server):
    other = chosen.model_copy(update={"model": "other"})
    with pytest.raises(Problem, match="does not have other") as error:
        await language_model(other, 5)
    assert error.value.hint == f"Name a model that it lists: {openai_server.model}"


async def test_a_busy_server_is_asked_once(chosen, openai_server):
    openai_server.replies = [Reply(status=503)]
    with pytest.raises(ReaderUnavailable, match="failed"):
        await language_model(chosen, 5)
    assert len(openai_server.requests) == 1


@pytest.mark.parametrize("body", ["<html>", json.dumps({"hello": "world"}), json.dumps([1])])
async def test_what_is_no_language_model_is_told(chosen, openai_server, body):
    openai_server.replies = [Reply(body=body)]
    with pytest.raises((ReaderUnavailable, Problem)) as error:
        await language_model(chosen, 5)
    assert openai_server.url in error.value.message


async def test_an_unnamed_model_is_told(chosen):
    with pytest.raises(SettingsError) as error:
        await language_model(chosen.model_copy(update={"model": ""}), 5)
    assert "RAG_APP_LLM__MODEL" in error.value.hint


__all__ = ["embeddings_server"]

ROW = {
    "model_id": "tests/pairs",
    "dimension": DIMENSION,
    "pooling": "mean",
    "causal": True,
    "licence": "MIT",
}


@pytest.fixture
def server(embeddings_server: EmbeddingsServer) -> EmbeddingsServer:
    embeddings_server.reset()
    return embeddings_server.start()


def served(settings: Settings, url: str, row: dict | None = None, **run) -> Settings:
    """With the encoder behind an address."""
    named = {"row": {**ROW, **(row or {})}, "backend": "vllm", "url": url, **run}
    return override(settings, {"encoder": {"name": "pairs"}, "encoders": {"pairs": named}})


def test_the_bundled_encoder_tells_how_it_runs(settings):
    found = encoder(settings, 5)
    assert "all-MiniLM-L6-v2, 384 dimensions; onnx on cpu, int8, a query " in found
    assert found.endswith("licence Apache-2.0")
    assert choose(settings).url == ""


def test_a_served_encoder_is_held_to_its_row(settings, server):
    there = served(settings, server.url)
    found = encoder(there, 5)
    assert f"tests/pairs at {server.url}, {DIMENSION} dimensions" in found
    assert "; vllm, a query " in found
    assert found.endswith("licence MIT")
    assert len(server.requests) > 1
    assert choose(there).url == server.url


def test_a_server_that_is_down_is_given_up_at_once(settings):
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with pytest.raises(EncoderUnavailableError, match="does not answer") as error:
        encoder(served(settings, url), 5)
    assert url in error.value.message


def test_an_encoder_that_hangs_is_given_up(settings):
    with hanging() as port, pytest.raises(EncoderUnavailableError, match="does not answer"):
        encoder(served(settings, f"http://127.0.0.1:{port}/v1"), 0.1)


def test_a_busy_encoder_is_asked_once(settings, server):
    server.failures = [503, 503, 503]
    with pytest.raises(EncoderUnavailableError):
        encoder(served(settings, server.url), 5)
    assert len(server.requests) == 1


def test_another_model_is_told(settings, server):
    server.model = "other"
    with pytest.raises(ModelMismatchError) as error:
        encoder(served(settings, server.url), 5)
    assert "other" in str(error.value)


def test_another_dimension_is_told(settings, server):
    with pytest.raises(ModelMismatchError, match=f"gave {DIMENSION} dimensions, not 7"):
        encoder(served(settings, server.url, {"dimension": 7}), 5)


def test_a_wrong_key_of_an_encoder_is_told_and_not_shown(settings, server):
    server.api_key = "right-key"
    with pytest.raises(EncoderUnavailableError, match="refuses the key") as error:
        encoder(served(settings, server.url, api_key="wrong-key"), 5)
    assert "-key" not in str(error.value)


def test_a_licence_that_nobody_accepted_is_told(settings, server):
    with pytest.raises(LicenceNotAccepted, match="MIT"):
        encoder(served(settings, server.url, {"restricted": True}), 5)
    assert server.requests == []


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


async def test_a_reranker_that_is_down_is_named(settings, grading):
    there = ranked(settings, grading)
    url = f"http://127.0.0.1:{closed_port()}/v1"
    down = override(there, {"rerank": {"llm": {"api_base": url}}})
    with pytest.raises(Problem, match="gives no grades: the server cannot be reached") as error:
        await reranker(down, 5)
    assert url in error.value.message


async def test_another_model_of_a_reranker_is_told(settings, grading):
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
    assert reranker_address(there) == rerank_server.url
    found = await reranker(there, 5)
    assert found.startswith(f"cross-encoder: tiny-model at {rerank_server.url} orders two passages")
    rerank_server.score = lambda _: 0.5
    with pytest.raises(Problem, match="does not put"):
        await reranker(there, 5)


@pytest.mark.parametrize("kind", ["rank1", "retro-star"])
async def test_models_that_reason_at_length_are_asked_for_a_token(settings, openai_server, kind):
    found = await reranker(ranked(settings, openai_server, kind), 5)
    assert found.startswith(f"{kind}: tiny-model at {openai_server.url}, first words ")
    assert "were not tried" in found
    (request,) = openai_server.requests
    assert ("prompt" in request) == (kind == "rank1")


async def test_an_unnamed_model_of_a_reranker_is_told(settings, openai_server):
    nameless = override(settings, {"rerank": {"kind": "qwen"}})
    with pytest.raises(SettingsError):
        await reranker(nameless, 5)
