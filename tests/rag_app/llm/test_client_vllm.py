"""What the client says to a real vLLM, and what it hears."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage

from rag_app.cost.metering import metered
from rag_app.llm.client import MeteredLLM
from tests.vllm_server import VllmServer

ASKED = [ChatMessage("Why is the sea salty?")]
LONG = {"max_tokens": 6000, "extra_body": {"ignore_eos": True}}


@pytest.fixture
async def llm(chat_server: VllmServer) -> AsyncIterator[MeteredLLM]:
    async with httpx.AsyncClient(trust_env=False) as connections:
        yield MeteredLLM(
            connections=connections, model="tiny-chat", api_base=f"{chat_server.url}/v1",
            api_key="unused", is_chat_model=True, max_tokens=40, max_retries=0,
        )  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
async def test_a_streamed_answer_is_metered_as_a_whole_one(llm, raw):
    arguments = {"max_tokens": 7, "use_chat_completions": not raw}
    arguments["extra_body"] = {"ignore_eos": True}
    with metered() as meter:
        await llm.acomplete("The sea is", **arguments)
        [_ async for _ in await llm.astream_complete("The sea is", **arguments)]
    whole, streamed = meter.calls
    assert whole.completion_tokens == streamed.completion_tokens == 7
    assert whole.prompt_tokens == streamed.prompt_tokens
    assert (whole.prompt_tokens < 10) == raw, "without the template the prompt is its words alone"


async def test_structured_outputs_bind_the_server(llm):
    arguments = {"extra_body": {"structured_outputs": {"choice": ["3"]}}, "max_tokens": 1}
    assert (await llm.achat(ASKED, **arguments)).message.content == "3"


async def test_closing_a_stream_frees_the_server_before_the_end(llm, metrics):
    async def leave() -> None:
        stream = await llm.astream_chat(ASKED, **LONG)
        await anext(stream)
        await stream.aclose()

    await metrics.assert_freed(leave, LONG["max_tokens"])


async def test_a_deadline_frees_the_server_before_the_end(llm, metrics):
    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await llm.achat(ASKED, **LONG)

    await metrics.assert_freed(leave, LONG["max_tokens"])


async def test_a_model_that_is_not_served_is_told_from_all_else(llm):
    llm.model = "other"
    with pytest.raises(openai.NotFoundError, match="other"):
        await llm.achat(ASKED)
