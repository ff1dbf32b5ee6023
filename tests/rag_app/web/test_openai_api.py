"""The official client of OpenAI's API against the application on a loopback port."""

from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from rag_app.assembly import application as assembly
from rag_app.settings import override
from rag_app.web.access import Access
from tests.openai_server import Reply
from tests.rag_app.served import TOKEN, Served, serving
from tests.rag_app.support import prose, write

ASKED = [{"role": "user", "content": "Where does the lantern hang?"}]
ANSWER = "It hangs in the harbour [2].\n\nAnd nowhere else [1]."


@pytest.fixture
async def application(settings, encoder, openai_server, tmp_path):
    """With a language model, and with one collection."""
    chosen = {
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
        "reader": {"kind": "llm"},
    }
    application, _ = assembly.open_application(override(settings, chosen))
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a", 60)})])
    openai_server.replies = [Reply(ANSWER)]
    yield application
    await application.close()


@pytest.fixture
async def served(application) -> AsyncIterator[Served]:
    async with serving(application) as served:
        yield served


def client_of(served: Served, key: str = "none") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{served.address}/v1",
        api_key=key,
        max_retries=0,
        http_client=httpx.AsyncClient(trust_env=False),
    )


@pytest.fixture
async def client(served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(served) as client:
        yield client


async def test_there_is_a_model_for_every_collection_and_one_without(client, application, tmp_path):
    await application.ingest("another", [tmp_path / "in"])
    listed = [model.id async for model in client.models.list()]
    assert listed == ["rag-app/another", "rag-app/c", "closed-book", "hashing"]
    for name in listed:
        assert (await client.models.retrieve(name)).id == name
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("rag-app/nothing")


async def test_an_answer_comes_with_its_citations_and_its_tokens(client):
    answer = await client.chat.completions.create(model="rag-app/c", messages=ASKED)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER)
    assert choice.finish_reason == "stop"
    assert answer.model == "rag-app/c"
    citations = choice.message.model_extra["citations"]
    assert [one["n"] for one in citations] == [2, 1]
    assert {one["source"] for one in citations} == {"a.txt"}
    assert all(one["text"] for one in citations)
    assert answer.usage.prompt_tokens > 50
    assert answer.usage.completion_tokens == len(ANSWER.split())
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_a_stream_says_the_same_piece_by_piece(client, openai_server):
    openai_server.replies = [Reply(ANSWER, reasoning="Let me see.")]
    stream = await client.chat.completions.create(
        model="rag-app/c", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == ANSWER
    assert sum(bool(delta.content) for delta in deltas) > 3
    thoughts = (delta.model_extra.get("reasoning_content", "") for delta in deltas)
    assert "".join(thoughts) == "Let me see."
    assert [one["n"] for one in deltas[-1].model_extra["citations"]] == [2, 1]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 50
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_thought_that_nothing_opened_stands_apart_once_and_never_again(
    client, openai_server
):
    thought = "Harbour [3]? Let me see."
    openai_server.replies = [Reply(f"{thought}</think>{ANSWER}")]
    asked = {"model": "rag-app/c", "messages": ASKED, "stop": ["?", "\n\nAnd"], "stream": True}
    for before in ("Harbour [3]\n\n", ""):
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked)]
        deltas = [chunk.choices[0].delta for chunk in chunks]
        said = "".join(delta.content or "" for delta in deltas)
        thoughts = (delta.model_extra.get("reasoning_content", "") for delta in deltas)
        assert said == f"{before}It hangs in the harbour [2]."
        assert "".join(thoughts) == thought
        assert [one["n"] for one in deltas[-1].model_extra["citations"]] == [2]


async def test_earlier_turns_are_the_history(settings, encoder, openai_server, tmp_path):
    chosen = {
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
        "condense": {"kind": "llm"},
    }
    application, _ = assembly.open_application(override(settings, chosen))
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    openai_server.replies = [Reply("Where does the copper lantern hang?")]
    async with serving(application) as served, client_of(served) as client:
        turns = [
            {"role": "system", "content": "Answer in French."},
            {"role": "user", "content": "Is there a copper lantern?"},
            {"role": "assistant", "content": "There is."},
            {"role": "user", "content": "Where does it hang?"},
        ]
        await client.chat.completions.create(model="rag-app/c", messages=turns)
    [condensing] = openai_server.requests
    assert "copper lantern" in str(condensing["messages"])
    assert "French" not in str(condensing["messages"])


async def test_closed_book_reads_no_passages(client, openai_server):
    answer = await client.chat.completions.create(model="closed-book", messages=ASKED)
    assert answer.choices[0].message.model_extra["citations"] == []
    [request] = openai_server.requests
    assert "a.txt" not in str(request["messages"])


async def test_options_choose_for_one_question(client, openai_server):
    await client.chat.completions.create(
        model="rag-app/c", messages=ASKED, extra_body={"options": {"reader": "quote"}}
    )
    assert openai_server.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_sequence_ends_the_answer_and_its_citations(client, stream):
    asked = {"model": "rag-app/c", "messages": ASKED, "stop": ["\n\n"]}
    if stream:
        chunks = [
            chunk async for chunk in await client.chat.completions.create(**asked, stream=True)
        ]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        citations = chunks[-1].choices[0].delta.model_extra["citations"]
    else:
        answer = await client.chat.completions.create(**asked)
        text = answer.choices[0].message.content
        citations = answer.choices[0].message.model_extra["citations"]
    assert text == "It hangs in the harbour [2]."
    assert [one["n"] for one in citations] == [2]


async def test_a_prompt_is_a_question_too_and_several_are_answered_in_order(client, openai_server):
    openai_server.respond = lambda body: Reply("one" if "lantern" in str(body) else "two")
    prompts = ["Where does the lantern hang?", "Who?"]
    answer = await client.completions.create(
        model="closed-book", prompt=prompts, max_tokens=9, temperature=0, seed=1
    )
    assert [(one.index, one.text) for one in answer.choices] == [(0, "one"), (1, "two")]
    assert answer.usage.completion_tokens == 2
    stream = await client.completions.create(model="closed-book", prompt="Who?", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "two"


async def test_likelihoods_are_refused_with_the_reason(client):
    with pytest.raises(openai.BadRequestError, match="no likelihood"):
        await client.completions.create(
            model="closed-book", prompt="a b", echo=True, logprobs=1, max_tokens=1
        )


async def test_a_wrong_model_is_not_found(client):
    for model in ("rag-app/nothing", "rag-app/../c", "gpt-4o", "rag-app/", "c"):
        for stream in (False, True):
            with pytest.raises(openai.NotFoundError, match="does not exist") as raised:
                await client.chat.completions.create(model=model, messages=ASKED, stream=stream)
            assert raised.value.code == "model_not_found"
            assert raised.value.type == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_language_model_that_fails_is_an_error_worth_another_try(
    client, openai_server, stream
):
    openai_server.replies = [Reply(status=500)]
    with pytest.raises(openai.APIError, match="language model at") as raised:
        answer = await client.chat.completions.create(
            model="rag-app/c", messages=ASKED, stream=stream
        )
        async for _ in answer:
            pass
    assert stream or raised.value.status_code == 503
    assert raised.value.type == "server_error"


async def test_a_question_without_documents_is_told_so(settings, encoder):
    application, _ = assembly.open_application(settings)
    async with serving(application) as served, client_of(served) as client:
        assert [model.id async for model in client.models.list()] == ["closed-book", "hashing"]
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="rag-app/default", messages=ASKED)
        answer = await client.chat.completions.create(model="closed-book", messages=ASKED)
        assert answer.choices[0].message.content
        assert answer.usage.total_tokens == 0


async def test_with_a_password_it_is_the_key(application):
    access = Access(TOKEN, "admin", "password")
    async with serving(application, access) as served:
        for key in ("wrong", "passwor", "admin:password"):
            async with client_of(served, key) as client:
                with pytest.raises(openai.AuthenticationError) as raised:
                    await client.models.list()
                assert raised.value.code == "invalid_api_key"
                with pytest.raises(openai.AuthenticationError):
                    await client.chat.completions.create(model="rag-app/c", messages=ASKED)
        for key in ("password", TOKEN):
            async with client_of(served, key) as client:
                answer = await client.chat.completions.create(model="rag-app/c", messages=ASKED)
                assert answer.choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/nothing", None, 404, "Not Found"),
        ("GET", "/chat/completions", None, 405, "Method Not Allowed"),
        ("POST", "/chat/completions", {"messages": ASKED}, 400, "model: Field required"),
        ("POST", "/chat/completions", {"model": "rag-app/c", "messages": []}, 400, "last message"),
        ("POST", "/chat/completions", {"model": "m", "messages": [{"role": "x"}]}, 400, "role"),
        ("POST", "/completions", {"model": "m", "prompt": 3}, 400, "prompt"),
    ],
)
async def test_every_error_has_openais_form(served, method, path, body, status, says):
    async with httpx.AsyncClient(base_url=f"{served.address}/v1", trust_env=False) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert says in error["message"]


async def test_a_foreign_pages_form_is_refused(served):
    async with httpx.AsyncClient(base_url=f"{served.address}/v1", trust_env=False) as client:
        answer = await client.post(
            "/chat/completions",
            content=b'{"model": "rag-app/c", "messages": [{"role": "user", "content": "q"}]}',
            headers={"Content-Type": "text/plain"},
        )
        assert answer.status_code == 400
        assert (await client.get("/models", headers={"Host": "evil.example"})).status_code == 400
