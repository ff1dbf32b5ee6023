"""The client of a language model: LlamaIndex's, with a meter, a limit and clear failures."""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

import httpx
import openai
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.llms.openai_like import OpenAILike
from pydantic import PrivateAttr, ValidationError

from data.arguments import at_least
from data.text import well_formed
from rag_app.cost.metering import Call, here
from rag_app.llm.capabilities import Capabilities, ServerTransport
from retrieval.replies import ReplyError

Response = TypeVar("Response", ChatResponse, CompletionResponse)
_Ask = Callable[[], Awaitable[AsyncIterator[Response]]]

CONNECT: Final = 5.0
"""Seconds that a connection may take to come about: a server that is there answers sooner."""
_DAMAGE: Final = (
    AttributeError, IndexError, KeyError, TypeError, ValidationError, RecursionError
)  # fmt: skip
"""What the libraries raise when an answer lacks what they take for granted, or nests too deeply."""


_LONGEST: Final = 1_000_000
"""Characters of one answer with its thoughts; `max_tokens` is what the server was asked for."""


_AHEAD: Final = 64
"""Pieces of a stream that wait for who reads it."""


class MeteredLLM(OpenAILike):
    """An OpenAI-compatible server, asked asynchronously.

    As `OpenAILike`, and beyond it:

    - every call is noted in the meter in force (`cost.metering`): tokens, milliseconds, model;
    - at most `concurrency` calls are under way on an event loop, a stream until it is closed;
      the others wait;
    - closing or cancelling a stream closes its connection at once, so the server stops working;
    - what a call names wins over the settings, `max_tokens` too, and `use_chat_completions=False`
      sends the prompt as it is, without the model's chat template;
    - what the server refuses is left out, once that is known (`rag_app.llm.capabilities`), and
      replies of nearly the API's form are put right (`rag_app.llm.replies`);
    - an answer that is not one of the OpenAI API, or does not end, is an `openai.APIError`, and
      halves of surrogate pairs in it, which nothing could write, become U+FFFD;
    - the arguments `guided_*`, which vLLM dropped and since ignores silently, are refused:
      ``extra_body={"structured_outputs": ...}`` or `response_format` does what they did.

    429, 408, 409, 5xx and failed connections are tried again by the openai SDK, `max_retries`
    times, after what the server's `Retry-After` asks for (up to two minutes; beyond it the call
    fails at once) or 0.5 s doubled each time. LlamaIndex's own retries around them are off, so
    the attribute `max_retries` is 0. All of that takes as long as it takes: a deadline is an
    `asyncio.timeout` of whoever calls.

    Args:
        connections: the pool of connections; it belongs to one event loop, and whoever made it
            closes it.
        timeout: seconds between two signs of life of the server; a call may name its own.
        max_retries: how often a failed request is sent again.
        concurrency: calls that may be under way at the same time.
        capabilities: what is known of servers; by default nothing, and nobody else is told.
        arguments: those of `OpenAILike`.

    Raises:
        ValueError: `concurrency` is not positive.
    """

    _concurrency: int = PrivateAttr()
    _places: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        *,
        connections: httpx.AsyncClient,
        timeout: float = 120.0,
        max_retries: int = 2,
        concurrency: int = 32,
        capabilities: Capabilities | None = None,
        **arguments: Any,
    ) -> None:
        at_least(1, concurrency=concurrency)
        transport = ServerTransport(connections, capabilities or Capabilities())
        adapted = httpx.AsyncClient(transport=transport, trust_env=False)  # holds no connection
        super().__init__(timeout=timeout, max_retries=0, async_http_client=adapted, **arguments)
        self._aclient = openai.AsyncOpenAI(
            api_key=self.api_key,
            base_url=self.api_base,
            timeout=_timeout(timeout),
            max_retries=max_retries,
            default_headers=self.default_headers,
            http_client=adapted,
        )
        self._concurrency = concurrency

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a conversation.

        Raises:
            openai.OpenAIError: the server fails, refuses, or answers something else.
            ValueError: the answer is not JSON, or an argument is `guided_*`.
        """
        if not self.is_chat_model:
            return await super().achat(messages, **kwargs)  # comes back as `acomplete`
        return await self._one(lambda: super(MeteredLLM, self).achat(messages, **kwargs))

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Go on from a prompt.

        Raises: as `achat`.
        """
        return await self._one(
            lambda: super(MeteredLLM, self).acomplete(prompt, formatted, **kwargs)
        )

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Answer a conversation piece by piece; nothing is sent before the first is asked for.

        Raises: as `achat`, while it is iterated.
        """
        if not self.is_chat_model:
            return _pumped(lambda: super(MeteredLLM, self).astream_chat(messages, **kwargs))
        kwargs.setdefault("stream_options", {"include_usage": True})
        return self._many(lambda: super(MeteredLLM, self).astream_chat(messages, **kwargs))

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Go on from a prompt piece by piece; nothing is sent before the first is asked for.

        Raises: as `achat`, while it is iterated.
        """
        kwargs.setdefault("stream_options", {"include_usage": True})
        return self._many(
            lambda: super(MeteredLLM, self).astream_complete(prompt, formatted, **kwargs)
        )

    async def _one(self, ask: Callable[[], Awaitable[Response]]) -> Response:
        async with self._place():
            with self._noted() as usage, self._understood():
                response = await ask()
                usage.take(response)
                self._bounded(_mended(response))
                return response

    async def _many(self, ask: _Ask[Response]) -> AsyncGenerator[Response, None]:
        async with self._place():
            with self._noted() as usage, self._understood():
                async with _Pump(ask) as responses:
                    size = 0
                    async for response in responses:
                        usage.take(response)
                        size = self._bounded(_mended(response), size)
                        yield response
                usage.require_an_answer()

    def _place(self) -> asyncio.Semaphore:
        """The limit of the running loop: a semaphore belongs to the loop that waits on it."""
        loop = asyncio.get_running_loop()
        if loop not in self._places:
            alive = {one: limit for one, limit in self._places.items() if not one.is_closed()}
            self._places = {**alive, loop: asyncio.Semaphore(self._concurrency)}
        return self._places[loop]

    @contextmanager
    def _noted(self) -> "Iterator[_Usage]":
        """Note the call in the meter that was in force at its start, however it ends."""
        place, usage, start = here(), _Usage(), time.perf_counter()
        try:
            yield usage
        finally:
            ms = (time.perf_counter() - start) * 1000
            place.note(Call(place.stage, self.model, usage.prompt, usage.completion, ms))

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn what the libraries raise over a damaged answer into the API's own error."""
        try:
            yield
        except _DAMAGE as damage:
            problem = f"the server gave no answer of the OpenAI API ({damage})"
            raise self._failure(problem) from damage
        except ReplyError as error:
            raise self._failure(str(error)) from error

    def _bounded(self, size: int, before: int = 0) -> int:
        """Characters of an answer so far. Raises openai.APIError for more than anyone reads."""
        if before + size > _LONGEST:
            raise self._failure(f"the server's answer is longer than {_LONGEST:,} characters")
        return before + size

    def _failure(self, problem: str) -> openai.APIError:
        return openai.APIError(problem, httpx.Request("POST", self.api_base or ""), body=None)

    def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        """What is sent: here LlamaIndex lets the settings' `max_tokens` win over the call's."""
        arguments: dict[str, Any] = super()._get_model_kwargs(**kwargs)
        arguments.pop("use_chat_completions", None)  # chose the address, is none of the API's
        if kwargs.get("max_tokens") is not None:
            key = "max_completion_tokens" if "max_completion_tokens" in arguments else "max_tokens"
            arguments[key] = kwargs["max_tokens"]
        if isinstance(arguments.get("timeout"), int | float):
            arguments["timeout"] = _timeout(arguments["timeout"])
        _refuse_guided(arguments)
        return arguments

    def _get_client(self) -> openai.OpenAI:
        raise NotImplementedError(
            "this client is asynchronous: use achat, acomplete, astream_chat or astream_complete"
        )


def _mended(response: ChatResponse | CompletionResponse) -> int:
    """Make the text of an answer, or of the next piece of one, well-formed; returns its length."""
    thought = response.additional_kwargs.get("thinking_delta")
    if thought:
        thought = response.additional_kwargs["thinking_delta"] = well_formed(thought)
    if response.delta is not None:  # of a stream, whose text so far lies beside it
        response.delta = well_formed(response.delta)
        return len(response.delta) + len(thought or "")
    if isinstance(response, CompletionResponse):
        response.text = well_formed(response.text)
        return len(response.text)
    size = 0
    for block in response.message.blocks:
        for name in ("text", "content"):  # of what is said, and what is thought
            if isinstance(text := getattr(block, name, None), str):
                setattr(block, name, well_formed(text))
                size += len(text)
    return size


class _Usage:
    """The tokens of one call, as far as the server told them."""

    def __init__(self) -> None:
        self.prompt: int | None = None
        self.completion: int | None = None
        self._answered = False

    def take(self, response: ChatResponse | CompletionResponse) -> None:
        """Keep the usage of a response; of a stream the last one counts."""
        self._answered = True
        usage = getattr(response.raw, "usage", None)
        read, written = (
            getattr(usage, f"{what}_tokens", None) for what in ("prompt", "completion")
        )
        if isinstance(read, int) and isinstance(written, int):
            self.prompt, self.completion = read, written

    def require_an_answer(self) -> None:
        """Raise where a stream held nothing, which is how one in another format reads."""
        if not self._answered:
            raise IndexError("the stream is empty")


class _Pump(Generic[Response]):
    """A stream that is read by a task of its own, while it is entered.

    LlamaIndex and the SDK stack generators that do not close what they iterate, so closing the
    outermost leaves the connection open until the garbage is collected. Cancelling the task that
    waits for the connection closes it. It reads no further ahead than `_AHEAD` pieces: each holds
    the whole answer so far. No generator itself: a loop that ends closes all of them at once, and
    one inside another fails over that.
    """

    def __init__(self, ask: _Ask[Response]) -> None:
        self._ask: _Ask[Response] = ask
        self._room = asyncio.Semaphore(_AHEAD)
        self._pieces: asyncio.Queue[Response | None] = asyncio.Queue()

    async def __aenter__(self) -> "_Pump[Response]":
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # raised already, or of no interest to one who closes

    def __aiter__(self) -> "_Pump[Response]":
        return self

    async def __anext__(self) -> Response:
        piece = await self._pieces.get()
        self._room.release()
        if piece is None:
            await self._task
            raise StopAsyncIteration
        return piece

    async def _read(self) -> None:
        try:
            async for piece in await self._ask():
                await self._room.acquire()
                self._pieces.put_nowait(piece)
        finally:
            self._pieces.put_nowait(None)


async def _pumped(ask: _Ask[Response]) -> AsyncGenerator[Response, None]:
    async with _Pump(ask) as responses:
        async for response in responses:
            yield response


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(CONNECT, seconds))


def _refuse_guided(arguments: Mapping[str, Any]) -> None:
    """Raise ValueError over an argument that vLLM ignores without a word."""
    for name in (*arguments, *(arguments.get("extra_body") or {})):
        if name.startswith("guided_"):
            raise ValueError(
                f"{name} is ignored by vLLM: use structured_outputs in extra_body, or "
                "response_format"
            )
