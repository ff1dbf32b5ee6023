import asyncio
import gc
import socket
import time
from contextlib import aclosing

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage

from generation.budget import TokenBudget
from generation.llm_reader import LLMReader
from rag_app.cost.metering import metered, stage
from rag_app.llm import client as llm_client
from rag_app.llm.client import MeteredLLM
from tests.generation.support import passage, read_all
from tests.openai_server import Reply

ASKED = [ChatMessage("Why is that so?")]


@pytest.fixture
async def model(openai_server):
    """Makes clients of the scripted server; their connections are closed after the test."""
    async with httpx.AsyncClient(trust_env=False) as connections:

        def make(**settings) -> MeteredLLM:
            arguments = {
                "model": "tiny-model",
                "api_base": openai_server.url,
                "api_key": "unused",
                "is_chat_model": True,
                "max_tokens": 50,
                "max_retries": 0,
                **settings,
            }
            return MeteredLLM(connections=connections, **arguments)

        yield make


async def chat(llm, **arguments):
    return (await llm.achat(ASKED, **arguments)).message.content


async def complete(llm, **arguments):
    return (await llm.acomplete("Why is that so?", **arguments)).text


async def chat_stream(llm, **arguments):
    return "".join([r.delta async for r in await llm.astream_chat(ASKED, **arguments)])


async def complete_stream(llm, **arguments):
    stream = await llm.astream_complete("Why is that so?", **arguments)
    return "".join([r.delta async for r in stream])


WAYS = [chat, complete, chat_stream, complete_stream]
STREAMS = [chat_stream, complete_stream]


@pytest.mark.parametrize("is_chat_model", [True, False])
@pytest.mark.parametrize("ask", WAYS)
async def test_every_call_is_noted_once_with_the_tokens_that_the_server_tells(
    openai_server, model, ask, is_chat_model
):
    openai_server.replies = [Reply("one two three", delay=0.02)]
    llm = model(is_chat_model=is_chat_model, concurrency=1)
    with metered() as meter, stage("rewrite"):
        assert await ask(llm) == "one two three"
    (call,) = meter.calls
    prompt = openai_server.requests[0].get("prompt", "Why is that so?")
    assert (call.stage, call.model, call.completion_tokens) == ("rewrite", "tiny-model", 3)
    assert call.prompt_tokens == len(prompt.split())
    assert 20 <= call.milliseconds < 5000


@pytest.mark.parametrize("ask", WAYS)
async def test_tokens_that_the_server_does_not_tell_are_unknown(openai_server, model, ask):
    openai_server.replies = [Reply("one two three", usage=False)]
    with metered() as meter:
        await ask(model())
    (call,) = meter.calls
    assert (call.prompt_tokens, call.completion_tokens) == (None, None)


@pytest.mark.parametrize("usage", ["{}", '{"prompt_tokens": "many", "completion_tokens": 2}', "7"])
async def test_usage_that_makes_no_sense_is_as_good_as_none(openai_server, model, usage):
    message = '{"role": "assistant", "content": "Fine."}'
    answer = f'{{"choices": [{{"index": 0, "message": {message}}}], "usage": {usage}}}'
    openai_server.replies = [Reply(body=answer)]
    with metered() as meter:
        assert await chat(model()) == "Fine."
    assert meter.by_stage()[""].uncounted == 1


@pytest.mark.parametrize("ask", STREAMS)
async def test_usage_is_asked_for_unless_the_caller_says_otherwise(openai_server, model, ask):
    await ask(model())
    with metered() as meter:
        await ask(model(), stream_options={"include_usage": False})
    options = [request["stream_options"] for request in openai_server.requests]
    assert options == [{"include_usage": True}, {"include_usage": False}]
    assert meter.by_stage()[""].uncounted == 1


@pytest.mark.parametrize("ask", WAYS)
async def test_what_a_call_names_wins_over_the_settings(openai_server, model, ask):
    await ask(model(temperature=0.0))
    await ask(model(temperature=0.0), max_tokens=3, temperature=0.5, seed=7)
    first, second = openai_server.requests
    assert (first["max_tokens"], first["temperature"]) == (50, 0.0)
    assert (second["max_tokens"], second["temperature"], second["seed"]) == (3, 0.5, 7)


async def test_models_that_count_their_reasoning_get_their_own_name_of_the_limit(
    openai_server, model
):
    openai_server.model = "o3-mini"
    await chat(model(model="o3-mini"), max_tokens=3)
    assert openai_server.requests[0]["max_completion_tokens"] == 3
    assert "max_tokens" not in openai_server.requests[0]


@pytest.mark.parametrize("ask", [complete, complete_stream])
async def test_a_chat_model_can_be_given_a_raw_prompt(openai_server, model, ask):
    openai_server.replies = [Reply("one two")]
    assert await ask(model(), use_chat_completions=False) == "one two"
    (request,) = openai_server.requests
    assert request["prompt"] == "Why is that so?"
    assert "use_chat_completions" not in request


async def test_structured_outputs_reach_the_server(openai_server, model):
    asked = {"structured_outputs": {"choice": ["yes", "no"]}}
    await chat(model(), extra_body=asked, response_format={"type": "json_object"})
    assert openai_server.requests[0]["structured_outputs"] == {"choice": ["yes", "no"]}
    assert openai_server.requests[0]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    "arguments", [{"guided_choice": ["yes"]}, {"extra_body": {"guided_json": {}}}]
)
async def test_guided_arguments_are_refused(openai_server, model, ask, arguments):
    with pytest.raises(ValueError, match=r"guided_.*structured_outputs"):
        await ask(model(), **arguments)
    with pytest.raises(ValueError, match=r"guided_.*structured_outputs"):
        await ask(model(additional_kwargs=arguments))
    assert openai_server.requests == []


def test_synchronous_calls_which_no_meter_would_see_are_refused(model):
    for ask in (model().chat, model().stream_chat):
        with pytest.raises(NotImplementedError, match="asynchronous"):
            list(ask(ASKED))
    with pytest.raises(NotImplementedError, match="asynchronous"):
        model().complete("Why?")


def test_a_limit_that_lets_nothing_pass_is_refused(model):
    with pytest.raises(ValueError, match="concurrency is 0; it must be 1 or more"):
        model(concurrency=0)


@pytest.mark.parametrize("ask", [chat, chat_stream])
async def test_no_more_calls_than_allowed_are_under_way(openai_server, model, ask):
    openai_server.replies = [Reply("one two three", delay=0.02)]
    llm = model(concurrency=3)
    with metered() as meter:
        await asyncio.gather(*(ask(llm) for _ in range(12)))
    assert openai_server.at_once == 3
    assert meter.by_stage()[""].calls == 12
    assert max(call.milliseconds for call in meter.calls) < 2000, "waiting is not counted"


async def test_without_a_narrow_limit_calls_run_side_by_side(openai_server, model):
    openai_server.replies = [Reply("one", delay=0.3)]
    llm = model()
    await asyncio.gather(*(chat(llm) for _ in range(12)))
    assert openai_server.at_once == 12


async def test_a_stream_holds_its_place_until_it_is_closed(openai_server, model):
    openai_server.replies = [Reply("one two three", hang_after=1), Reply("four")]
    llm = model(concurrency=1)
    stream = await llm.astream_chat(ASKED)
    await anext(stream)
    second = asyncio.create_task(chat(llm))
    await asyncio.sleep(0.1)
    assert len(openai_server.requests) == 1
    await stream.aclose()
    assert await second == "four"


async def test_a_stream_that_nobody_starts_holds_no_place(openai_server, model):
    llm = model(concurrency=1)
    stream = await llm.astream_chat(ASKED)
    assert await chat(llm) == "An answer."
    await stream.aclose()
    assert len(openai_server.requests) == 1


def test_one_client_serves_event_loops_one_after_the_other(openai_server):
    connections = httpx.AsyncClient(
        trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    llm = MeteredLLM(
        connections=connections, model="tiny-model", api_base=openai_server.url, api_key="k",
        is_chat_model=True, concurrency=1,
    )  # fmt: skip

    async def work() -> None:
        await asyncio.gather(chat(llm), chat(llm), chat(llm))

    for _ in range(3):
        asyncio.run(work())  # a limit that has been waited for would bind the next loop
    asyncio.run(connections.aclose())
    assert openai_server.at_once == 1
    assert len(openai_server.requests) == 9
    assert len(llm._places) == 1, "loops that are gone leave nothing behind"


async def first_of(llm, is_chat: bool):
    stream = await (llm.astream_chat(ASKED) if is_chat else llm.astream_complete("Why?"))
    return stream, await anext(stream)


@pytest.mark.parametrize("is_chat", [True, False])
async def test_closing_a_stream_between_two_pieces_closes_the_connection_at_once(
    openai_server, model, is_chat
):
    openai_server.replies = [Reply("one two three", hang_after=1), Reply("four")]
    with metered() as meter, stage("read"):
        stream, _ = await first_of(model(), is_chat)
    gc.disable()  # the connection must not wait for the collector
    try:
        await stream.aclose()
        await asyncio.to_thread(openai_server.wait_until, lambda: openai_server.aborted == 1, 1.0)
    finally:
        gc.enable()
    (call,) = meter.calls
    assert (call.stage, call.completion_tokens) == ("read", None)


def test_a_stream_that_is_forgotten_ends_quietly_with_its_event_loop(openai_server):
    openai_server.replies = [Reply("one two three", hang_after=1)]
    said = []

    async def work():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        connections = httpx.AsyncClient(trust_env=False)
        llm = MeteredLLM(
            connections=connections, model="tiny-model", api_base=openai_server.url, api_key="k",
            is_chat_model=True,
        )  # fmt: skip
        stream = await llm.astream_chat(ASKED)
        await anext(stream)
        return stream

    forgotten = asyncio.run(work())
    openai_server.wait_until(lambda: openai_server.aborted == 1, 1.0)
    assert said == []
    del forgotten


async def test_cancelling_a_call_frees_its_place_and_the_server(openai_server, model):
    openai_server.replies = [Reply("one", hang_after=1), Reply("two")]
    llm = model(concurrency=1)
    with metered() as meter:
        task = asyncio.create_task(chat(llm))
        await asyncio.to_thread(openai_server.wait_until, lambda: bool(openai_server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert meter.by_stage()[""].uncounted == 1
    assert await chat(llm) == "two"


async def test_a_reader_that_is_closed_frees_the_server_and_its_place(openai_server, model):
    openai_server.replies = [Reply("One two three", hang_after=1), Reply("Two [1].")]
    llm = model(concurrency=1)
    reader = LLMReader(llm, TokenBudget(4000, 50))
    async with aclosing(reader.read("How?", [passage("Dough rests.")])) as stream:
        await anext(stream)
    await asyncio.to_thread(openai_server.wait_until, lambda: openai_server.aborted == 1, 1.0)
    _, reading = await read_all(reader.read("How?", [passage("Dough rests.")]))
    assert reading.text == "Two [1]."


@pytest.mark.parametrize(("ask", "status"), [(chat, 429), (complete, 500), (chat_stream, 503)])
async def test_a_server_in_trouble_is_asked_again_with_back_off(openai_server, model, ask, status):
    openai_server.replies = [Reply(status=status), Reply(status=status), Reply("Fine.")]
    start = time.monotonic()
    with metered() as meter:
        assert await ask(model(max_retries=2)) == "Fine."
    elapsed = time.monotonic() - start
    assert len(openai_server.requests) == 3
    assert elapsed >= 0.375 + 0.75, "half a second, then a whole one, each less up to a quarter"
    (call,) = meter.calls
    assert call.milliseconds >= 1125


async def test_retries_do_not_multiply(openai_server, model):
    openai_server.replies = [Reply(status=500)]
    with pytest.raises(openai.InternalServerError):
        await chat(model(max_retries=1))
    assert len(openai_server.requests) == 2


@pytest.mark.parametrize(("seconds", "least", "most"), [("0.05", 0.05, 0.37), ("1", 1.0, 5.0)])
async def test_a_busy_server_says_when_to_come_back(openai_server, model, seconds, least, most):
    openai_server.replies = [Reply(status=429, headers={"Retry-After": seconds}), Reply("Fine.")]
    start = time.monotonic()
    assert await chat(model(max_retries=1)) == "Fine."
    assert least <= time.monotonic() - start < most


@pytest.mark.parametrize("ask", [chat, chat_stream])
async def test_waiting_for_a_busy_server_ends_with_the_deadline(openai_server, model, ask):
    openai_server.replies = [Reply(status=429, headers={"Retry-After": "30"}), Reply("Fine.")]
    llm, start = model(max_retries=2, concurrency=1), time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await ask(llm)
    assert time.monotonic() - start < 25
    assert len(openai_server.requests) == 1
    assert await ask(llm) == "Fine.", "its place is free again"


@pytest.mark.parametrize("ask", [chat, chat_stream])
@pytest.mark.parametrize("per_call", [True, False])
async def test_a_server_that_falls_silent_is_given_up(openai_server, model, ask, per_call):
    openai_server.replies = [Reply("one two", hang_after=1)]
    start = time.monotonic()
    with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)):
        await (ask(model(), timeout=0.2) if per_call else ask(model(timeout=0.2)))
    assert 0.2 <= time.monotonic() - start < 25


async def test_a_connection_that_does_not_come_about_fails_early(openai_server, model):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # fills the backlog
            llm = model(api_base=f"http://127.0.0.1:{port}/v1", timeout=60.0)
            llm._aclient.timeout = httpx.Timeout(60, connect=0.2)
            start = time.monotonic()
            with pytest.raises(openai.APITimeoutError):
                await chat(llm)
    assert time.monotonic() - start < 25


def test_connecting_is_given_less_time_than_answering(model):
    assert model(timeout=60.0)._aclient.timeout == httpx.Timeout(60.0, connect=5.0)
    assert model(timeout=2.0)._aclient.timeout == httpx.Timeout(2.0)


async def test_a_dead_server_is_tried_again_and_then_cannot_be_reached(model):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    start = time.monotonic()
    with metered() as meter, pytest.raises(openai.APIConnectionError):
        await chat(model(api_base=address, max_retries=1))
    assert time.monotonic() - start >= 0.375
    assert meter.by_stage()[""].uncounted == 1


async def test_a_server_that_dies_while_it_answers_is_asked_again(openai_server, model):
    openai_server.replies = [Reply("one", die_after=0), Reply("two")]
    assert await chat(model(max_retries=1)) == "two"


@pytest.mark.parametrize("pieces", [0, 2])
async def test_a_stream_that_breaks_is_an_error_after_its_pieces(openai_server, model, pieces):
    openai_server.replies = [Reply("one two three", die_after=pieces)]
    shown = []
    with pytest.raises(httpx.RemoteProtocolError):
        stream = await model(max_retries=2).astream_chat(ASKED)
        while True:
            shown.append((await anext(stream)).delta)
    assert "one two three".startswith("".join(shown))
    assert len(openai_server.requests) == 1, "what was shown cannot be taken back"


async def test_a_wrong_model_name_is_told_at_once(openai_server, model):
    with pytest.raises(openai.NotFoundError, match="other-model"):
        await chat(model(model="other-model", max_retries=2))
    assert len(openai_server.requests) == 1


HALF = '{"id": "c", "choices": [{"index": 0, "message": {"role": "assi'


@pytest.mark.parametrize("ask", [chat, complete])
async def test_half_a_json_is_a_value_error(openai_server, model, ask):
    openai_server.replies = [Reply(body=HALF)]
    with metered() as meter, pytest.raises(ValueError, match="Unterminated string"):
        await ask(model(max_retries=2))
    assert meter.by_stage()[""].uncounted == 1


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "body",
    ["{}", "[]", "null", "7", '"text"', '{"choices": null}', '{"choices": []}', '{"choices": 1}',
     '{"choices": [{}]}', '{"choices": [null]}', '{"error": "out of cheese"}'],
)  # fmt: skip
async def test_garbage_is_an_error_of_the_api_or_a_value_error(openai_server, model, body, raw):
    openai_server.replies = [Reply(body=body)]
    with pytest.raises((openai.APIError, ValueError)):
        await complete(model(), use_chat_completions=not raw)


@pytest.mark.parametrize("ask", STREAMS)
@pytest.mark.parametrize("body", ["{}", "<html>It works!</html>", "", 'data: {"choices": 7}\n\n'])
async def test_garbage_in_place_of_a_stream_is_an_error_of_the_api(openai_server, model, ask, body):
    openai_server.replies = [Reply(body=body)]
    with pytest.raises(openai.APIError, match="no answer of the OpenAI API"):
        await ask(model())


async def test_a_page_in_place_of_an_answer_is_an_error_of_the_api(openai_server, model):
    openai_server.replies = [Reply(body="<html>It works!</html>", media_type="text/html")]
    with pytest.raises(openai.APIError, match="a web page came in place"):
        await chat(model())


@pytest.mark.parametrize("ask", WAYS)
async def test_halves_of_surrogate_pairs_become_something_that_can_be_written(
    openai_server, model, ask
):
    openai_server.replies = [Reply("a \ud800 b", piece=3)]
    assert await ask(model()) == "a \ufffd b"


@pytest.mark.parametrize("ask", WAYS)
async def test_an_answer_without_end_is_a_failure(openai_server, model, ask, monkeypatch):
    monkeypatch.setattr(llm_client, "_LONGEST", 1000)
    openai_server.replies = [Reply("word " * 200, piece=100), Reply("word " * 201, piece=100)]
    assert len(await ask(model())) == 1000
    with pytest.raises(openai.APIError, match="longer than 1,000 characters"):
        await ask(model())


@pytest.mark.parametrize("ask", STREAMS)
async def test_a_token_of_ten_megabytes_is_a_failure(openai_server, model, ask):
    openai_server.replies = [Reply("x" * 10_000_000, piece=10_000_000)]
    with pytest.raises(openai.APIError, match="larger than"):
        await ask(model())
