import asyncio
import socket

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from retrieval.llm_calls import answer, failures, reason
from tests.openai_server import Reply

_NUMBER = '{"choices": [{"message": {"role": "assistant", "content": 7}}]}'


async def failing(llm: OpenAILike) -> Exception:
    with pytest.raises(failures()) as caught:
        await answer(llm.achat([ChatMessage("Why?")]))
    return caught.value


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=500, error="out\nof memory"), "HTTP 500: out of memory"),
        (Reply(status=429, error="slow down"), "HTTP 429: slow down"),
        (Reply(status=401, error="wrong key sk-abcdef123456"), "HTTP 401: wrong key (key)"),
        (Reply(die_after=0), "the server broke the connection"),
        (Reply(body='{"choices": [{"mes'), "Unterminated string"),
        (Reply(body="{}"), "the answer is not of the API's form"),
        (Reply(body='{"choices": []}'), "the answer is not of the API's form"),
        (Reply(body=_NUMBER), "the answer is not of the API's form"),
        (Reply(body="[1, 2]"), "the answer is not of the API's form"),
        (Reply(body="<p>Welcome", media_type="text/html"), "the answer is not of the API's form"),
    ],
)
async def test_a_call_that_fails_is_told_in_one_line(openai_server, model, reply, told):
    openai_server.replies = [reply]
    assert reason(await failing(model(openai_server.url))).startswith(told)


async def test_a_model_that_the_server_lacks_is_named(openai_server, model):
    error = await failing(model(openai_server.url, model="other"))
    assert reason(error) == "HTTP 404: The model `other` does not exist."


async def test_a_server_that_is_away_cannot_be_reached(model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failing(model(f"http://127.0.0.1:{taken.getsockname()[1]}/v1"))
    assert reason(error) == "the server cannot be reached"


async def test_a_server_that_hangs_gave_no_answer_in_time(openai_server, model):
    openai_server.replies = [Reply(hang_after=0)]
    error = await failing(model(openai_server.url, timeout=0.2))
    assert reason(error) == "no answer in time"
    assert reason(error, 0.2) == "no answer within 0.2 s"
    with pytest.raises(failures()) as caught:
        async with asyncio.timeout(0.1):
            await answer(model(openai_server.url).achat([ChatMessage("Why?")]))
    assert reason(caught.value, 20) == "no answer within 20 s"


async def test_what_is_no_failure_of_the_server_goes_through(openai_server, model):
    async def cancelled():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await answer(cancelled())
    assert not issubclass(asyncio.CancelledError, failures())
    assert not issubclass(ZeroDivisionError, failures())
    good = await answer(model(openai_server.url).achat([ChatMessage("Why?")]))
    assert good.message.content == "An answer."


def test_a_reason_is_short_and_holds_no_password():
    assert len(reason(ValueError("word " * 1000))) == 200
    assert reason(openai.OpenAIError()) == "OpenAIError"
    told = reason(httpx.HTTPError("at http://me:hunter22@host/v1"))
    assert told == "at http://host/v1"
