"""The official client of OpenAI's API, and a reranker's, against the application on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import numpy as np
import openai
import pytest

from rag_app.assembly import application as assembly
from rag_app.settings import Settings, override
from retrieval.reranking.cross_encoder import CrossEncoderReranker
from tests.encoders import HashingEncoder
from tests.openai_server import OpenAIServer, Reply
from tests.rag_app.served import Served, serving
from tests.rag_app.support import prose, twin, write
from tests.rag_app.web.test_openai_api import client_of
from tests.retrieval.reranking.scripted import RerankServer, ids, passages

TEXTS = ["the copper lantern", "an orchard", "the copper lantern"]


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    running = RerankServer()
    running.start()
    yield running
    running.close()


@pytest.fixture
async def served(settings: Settings, encoder, rerank_server, tmp_path) -> AsyncIterator[Served]:
    """With a reranker, which takes longer texts for better ones."""
    chosen = {
        "rerank": {"kind": "cross-encoder", "url": rerank_server.url},
        "llm": {"model": rerank_server.model},
    }
    application, _ = assembly.open_application(override(settings, chosen))
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    async with serving(application) as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(served) as client:
        yield client


@pytest.fixture
async def plain(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{served.address}/v1", trust_env=False) as plain:
        yield plain


async def test_vectors_are_those_of_the_encoder_in_either_form(client, encoder: HashingEncoder):
    as_base64 = await client.embeddings.create(model="hashing", input=TEXTS)
    as_numbers = await client.embeddings.create(
        model="hashing", input=TEXTS, encoding_format="float"
    )
    expected = encoder.encode_passages(TEXTS)
    for answer in (as_base64, as_numbers):
        assert [one.index for one in answer.data] == [0, 1, 2]
        np.testing.assert_array_equal(
            np.asarray([one.embedding for one in answer.data], np.float32), expected.vectors
        )
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(expected.tokens)
        assert answer.model == "hashing"


async def test_one_text_may_be_sent_as_it_is_and_as_a_query(client, encoder: HashingEncoder):
    answer = await client.embeddings.create(
        model="hashing", input="lantern", extra_body={"input_type": "query"}
    )
    [vector] = encoder.encode_queries(["lantern"]).vectors
    np.testing.assert_array_equal(np.asarray(answer.data[0].embedding, np.float32), vector)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"input": [1, 2, 3]}, "text, not tokens"),
        ({"input": [[1, 2], [3]]}, "text, not tokens"),
        ({"input": []}, "empty"),
        ({"input": ["a", ""]}, "text"),
        ({"input": ["a"] * 2049}, "too many texts"),
        ({"input": "a" * 400_001}, "too many texts"),
        ({"dimensions": 7}, "cannot be shortened"),
        ({"model": "package.module:Class"}, "settings files"),
    ],
)
async def test_what_cannot_be_encoded_is_refused_with_the_reason(client, wrong, says):
    asked = {"model": "hashing", "input": "a", **wrong}
    with pytest.raises(openai.BadRequestError, match=says):
        await client.embeddings.create(**asked)


async def test_only_encoders_in_use_encode(client):
    for model in ("reasonir-8b", "nothing", "rag-app/c"):
        with pytest.raises(openai.NotFoundError, match="in use: hashing") as raised:
            await client.embeddings.create(model=model, input="a")
        assert raised.value.code == "model_not_found"


async def test_an_encoder_that_an_index_was_built_with_is_in_use(
    settings, encoder, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        "rag_app.assembly.components.encoder",
        lambda _, name=None: encoder if name in {None, settings.encoder.name} else twin(name),
    )
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.build_index("c", "second")
    async with serving(application) as served, client_of(served) as client:
        assert "second" in [model.id async for model in client.models.list()]
        answer = await client.embeddings.create(model="second", input="a")
        assert answer.model == "second"
        remote = served.remote()
        assert [one.name for one in await remote.encoders()] == ["hashing", "second"]
        assert (await remote.embed(["a"], "second")).vectors[0] == answer.data[0].embedding


async def test_documents_are_put_in_the_rerankers_order(plain, rerank_server, served):
    rerank_server.score = lambda text: len(text) / 100
    body = {"query": "q", "documents": ["aa", {"text": "aaaa"}, "aaa"], "return_documents": True}
    answer = (await plain.post("/rerank", json=body)).json()
    assert [one["index"] for one in answer["results"]] == [1, 2, 0]
    assert [one["relevance_score"] for one in answer["results"]] == [0.04, 0.03, 0.02]
    assert [one["document"]["text"] for one in answer["results"]] == ["aaaa", "aaa", "aa"]
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    asked = {**body, "top_n": 1, "return_documents": False}
    [best] = (await plain.post("/rerank", json=asked)).json()["results"]
    assert best == {"index": 1, "relevance_score": 0.04}
    nothing = await plain.post("/rerank", json={"query": "q", "documents": []})
    assert nothing.json()["results"] == []
    ranked = await served.remote().rerank("q", ["a", "aaa"])
    assert [one.index for one in ranked] == [1, 0]


async def test_our_own_client_of_rerankers_can_ask_it(served, rerank_server):
    rerank_server.score = lambda text: len(text) / 100
    async with httpx.AsyncClient(trust_env=False) as connections:
        one = CrossEncoderReranker(connections, f"{served.address}/v1", "any")
        assert ids((await one.rerank("q", passages(["a", "aaa", "aa"]))).nodes) == [
            "p1",
            "p2",
            "p0",
        ]


async def test_what_could_not_be_graded_is_an_error_worth_another_try(plain, rerank_server):
    rerank_server.model = "another"
    answer = await plain.post("/rerank", json={"query": "q", "documents": ["a", "b"]})
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["type"] == "server_error"
    assert "2 of 2 texts could not be graded" in error["message"]


async def test_without_a_reranker_there_is_no_order(application):
    async with serving(application) as served:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{served.address}/v1/rerank", json={"query": "q", "documents": ["a"]}
            )
    assert answer.status_code == 400
    assert "RAG_APP_RERANK__KIND" in answer.json()["error"]["message"]


async def test_a_reranking_ends_when_its_client_leaves(settings, encoder, openai_server):
    chosen = {
        "rerank": {"kind": "qwen"},
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
    }
    openai_server.replies = [Reply("3", hang_after=0)]
    application, _ = assembly.open_application(override(settings, chosen))
    async with serving(application) as served:
        async with httpx.AsyncClient(base_url=f"{served.address}/v1", trust_env=False) as client:
            asking = asyncio.create_task(
                client.post("/rerank", json={"query": "q", "documents": ["a"]})
            )
            await asyncio.to_thread(OpenAIServer.wait_until, lambda: openai_server._answering)
            asking.cancel()
        await asyncio.to_thread(OpenAIServer.wait_until, lambda: not openai_server._answering)
