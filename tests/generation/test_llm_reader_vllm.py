"""The reader over a real vLLM: what a person who goes away leaves behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from llama_index.llms.openai_like import OpenAILike

from generation.budget import TokenBudget
from generation.llm_reader import LLMReader
from generation.reading import Reading
from tests.generation.support import passage, read_all
from tests.vllm_server import VllmServer

PASSAGES = [passage("Bread is baked at 230 degrees.", "bread.pdf", 3), passage("Dough rests.")]
WINDOW, LONG = 8192, 6000
pytestmark = pytest.mark.slow


@pytest.fixture
async def llm(chat_server: VllmServer) -> AsyncIterator[OpenAILike]:
    """Answers as long as it may: a random model would end when it likes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield OpenAILike(
            model="tiny-chat", api_base=f"{chat_server.url}/v1", api_key="unused",
            is_chat_model=True, max_retries=0, async_http_client=client,
            additional_kwargs={"extra_body": {"ignore_eos": True}},
        )  # fmt: skip


async def test_an_answer_is_as_long_as_the_server_says(llm):
    _, reading = await read_all(LLMReader(llm, TokenBudget(WINDOW, 600)).read("How?", PASSAGES))
    assert reading.completion_tokens == 600
    assert (reading.truncated, reading.passages_used) == (True, 2)
    assert reading.coverage is not None or reading.abstained


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_leaving_an_answer_frees_the_server_before_the_end(llm, metrics, how):
    async def leave() -> None:
        stream = LLMReader(llm, TokenBudget(WINDOW, LONG)).read("How hot?", PASSAGES)
        await anext(stream)
        if how == "closed":
            await stream.aclose()
            return
        rest = asyncio.create_task(_rest(stream))
        await asyncio.sleep(0.05)
        rest.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # unless it was over
            await rest

    await metrics.assert_freed(leave, LONG)


async def _rest(stream: AsyncIterator[object]) -> list[Reading]:
    return [event async for event in stream if isinstance(event, Reading)]
