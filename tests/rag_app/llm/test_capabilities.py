"""Servers that refuse a part of a request, each as it is known to answer."""

import asyncio
import json

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from generation.budget import TokenBudget
from generation.llm_reader import LLMReader
from rag_app.llm.capabilities import LOGPROBS, STRUCTURED, SYSTEM, Capabilities
from rag_app.llm.client import MeteredLLM
from tests.generation.support import passage, read_all
from tests.openai_server import Reply

SAID = "The spare pump is in shed 4 [1]."
PASSAGES = [passage("The spare pump is in shed 4.")]
ASKED = [ChatMessage("Rules.", role=MessageRole.SYSTEM), ChatMessage("Where?")]


@pytest.fixture
def capabilities() -> Capabilities:
    return Capabilities()


@pytest.fixture
async def model(openai_server, capabilities):
    async with httpx.AsyncClient(trust_env=False) as connections:

        def make(**settings) -> MeteredLLM:
            arguments = {
                "model": "tiny-model", "api_base": openai_server.url, "api_key": "unused",
                "is_chat_model": True, "max_tokens": 50, "max_retries": 0,
                "temperature": 0.0, "capabilities": capabilities, **settings,
            }  # fmt: skip
            return MeteredLLM(connections=connections, **arguments)

        yield make


def refusal(status: int, error: object) -> Reply:
    """A body of an error as it stands, whatever its form."""
    return Reply(raw_status=status, body=json.dumps(error))


def system_of(body: dict) -> bool:
    return body.get("messages", [{}])[0].get("role") == "system"


def openai_reasoning(body: dict) -> Reply:
    """OpenAI's reasoning models."""
    if "max_tokens" in body:
        told = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."  # noqa: E501
        return refusal(400, {"error": {"message": told, "param": "max_tokens"}})
    if body.get("temperature", 1) != 1:
        told = "Unsupported value: 'temperature' does not support 0 with this model."
        return refusal(400, {"error": {"message": told, "param": "temperature"}})
    return Reply(SAID)


def vllm_strict(body: dict) -> Reply:
    """vLLM with a template that knows no system message (Gemma 2), in its old form of errors."""
    if system_of(body):
        error = {"object": "error", "message": "System role not supported", "code": 400}
        return refusal(400, error)
    return Reply(SAID)


def llama_cpp(body: dict) -> Reply:
    """llama.cpp's server answers 500 where the template raises."""
    if system_of(body):
        told = "Jinja Exception: Only user and assistant roles are supported!"
        return refusal(500, {"error": {"code": 500, "message": told, "type": "server_error"}})
    return Reply(SAID)


def lm_studio(body: dict) -> Reply:
    """LM Studio tells of errors inside a stream that began well."""
    if system_of(body):
        told = json.dumps({"error": {"message": "Error rendering prompt with jinja template"}})
        return Reply(body=f"event: error\ndata: {told}\n\n", media_type="text/event-stream")
    return Reply(SAID)


def ollama(body: dict) -> Reply:
    """A proxy before Ollama that forbids fields it does not know."""
    if extra := {"stream_options", "temperature"} & body.keys():
        return refusal(422, {"detail": [{"loc": ["body", *extra], "type": "extra_forbidden"}]})
    return Reply(SAID)


def everything(body: dict) -> Reply:
    """A server that takes nothing but the question, and does not say what is wrong."""
    allowed = {"model", "messages", "stream"}
    if body.keys() - allowed or system_of(body):
        return refusal(400, {"error": "bad request"})
    return Reply(SAID)


SERVERS = [
    (openai_reasoning, {"max_tokens", "temperature"}),
    (vllm_strict, {SYSTEM}),
    (llama_cpp, {SYSTEM}),
    (lm_studio, {SYSTEM}),
    (ollama, {"stream_options", "temperature"}),
    (
        everything,
        {"max_tokens", "max_completion_tokens", "stream_options", "temperature", SYSTEM},
    ),
]


@pytest.mark.parametrize(
    ("server", "refused"), SERVERS, ids=lambda one: getattr(one, "__name__", "")
)
async def test_what_is_refused_is_left_out_from_then_on(
    openai_server, model, capabilities, server, refused
):
    openai_server.respond = server
    for question in range(2):
        asked_before = len(openai_server.requests)
        reader = LLMReader(model(), TokenBudget(4000, 50))
        _, reading = await read_all(reader.read("Where is the spare pump?", PASSAGES))
        assert reading.text == SAID
        if question:
            assert len(openai_server.requests) == asked_before + 1, "it is remembered"
    assert set(capabilities.left_out()) == refused
    last = openai_server.requests[-1]
    assert not refused & last.keys()
    said = "".join(message["content"] for message in last["messages"])
    assert "You answer questions from passages" in said, "the rules are sent all the same"
    assert ("max_completion_tokens" in last) == (server is openai_reasoning)


async def test_odds_and_structure_are_left_out_where_they_are_refused(
    openai_server, model, capabilities
):
    def respond(body: dict) -> Reply:
        if {"logprobs", "structured_outputs"} & body.keys():
            return refusal(400, {"error": {"message": "no"}})
        return Reply("4")

    openai_server.respond = respond
    arguments = {"logprobs": True, "top_logprobs": 5}
    extra = {"structured_outputs": {"choice": ["4"]}}
    answer = await model().achat(ASKED, extra_body=extra, **arguments)
    assert answer.message.content == "4"
    assert capabilities.left_out() == [LOGPROBS, STRUCTURED]
    assert openai_server.requests[-1].keys() & {"logprobs", "top_logprobs"} == set()


async def test_a_refusal_of_one_request_alone_is_told(openai_server, model, capabilities):
    """Such as a prompt that is too long: every probe is answered, so nothing is to blame."""

    def respond(body: dict) -> Reply:
        long = any("Where?" in message["content"] for message in body["messages"])
        return refusal(400, {"error": {"message": "too long"}}) if long else Reply("Yes.")

    openai_server.respond = respond
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="too long"):
            await model().achat(ASKED)
    assert capabilities.left_out() == []
    probed = sum("Where?" not in str(request["messages"]) for request in openai_server.requests)
    assert probed == 3, "the limit, the temperature and the system message, once"


async def test_a_server_that_refuses_everything_is_told_and_nothing_is_learnt(
    openai_server, model, capabilities
):
    openai_server.replies = [refusal(400, {"error": {"message": "no credit"}})]
    with pytest.raises(openai.BadRequestError, match="no credit"):
        await model().achat(ASKED)
    assert capabilities.left_out() == []


async def test_calls_side_by_side_learn_once(openai_server, model):
    openai_server.respond = vllm_strict
    llm = model()
    answers = await asyncio.gather(*(llm.achat(ASKED) for _ in range(6)))
    assert {answer.message.content for answer in answers} == {SAID}
    assert len(openai_server.requests) <= 6 + 3 + 6


async def test_models_are_known_apart(openai_server, model, capabilities):
    openai_server.respond = vllm_strict
    await model().achat(ASKED)
    assert capabilities.of(f"{openai_server.url}/chat/completions", "tiny-model").refused
    assert not capabilities.of(f"{openai_server.url}/chat/completions", "another").refused
