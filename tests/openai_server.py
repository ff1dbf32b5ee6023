"""A real loopback server that speaks the OpenAI chat API from a script.

``openai_server`` is a fixture; a test module gets it by importing it or by
``pytest_plugins = ["tests.openai_server"]`` in the root conftest.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    ``text`` is streamed in pieces of ``piece`` characters, ``delay`` seconds apart. ``hang_after``
    and ``die_after`` stop after that many pieces: the one keeps the connection open for ever, the
    other breaks it; an answer that is not streamed comes after ``delay``, and hangs or dies where
    either is set. ``status`` other than 200 answers with an error that says ``error``, and with
    ``headers``; ``stream_error`` sends such an error inside the stream after the text. ``body`` is
    sent as it is, in place of all that, as a ``media_type`` and with ``raw_status`` and
    ``headers``.
    """

    text: str = ""
    reasoning: str = ""
    status: int = 200
    error: str = "scripted failure"
    stream_error: str = ""
    piece: int = 5
    delay: float = 0.0
    hang_after: int | None = None
    die_after: int | None = None
    finish_reason: str | None = "stop"
    usage: bool = True
    done: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None
    raw_status: int = 200
    media_type: str = "application/json"

    def pieces(self) -> list[str]:
        return [self.text[i : i + self.piece] for i in range(0, len(self.text), self.piece)]


class OpenAIServer:
    """Serves chats, completions and ``/v1/models`` on a free loopback port, in a thread.

    ``replies`` are used in order, the last one for ever; or ``respond`` is asked for a reply to
    each request's body. ``requests`` keeps the bodies, ``aborted`` counts streams whose client
    went away before their end, ``finished`` those that ended. ``at_once`` is the largest number of
    requests that were being answered at the same time. ``max_model_len`` is
    listed as by vLLM. ``others`` are models that it has, too.
    """

    def __init__(self, model: str = "tiny-model", api_key: str | None = None) -> None:
        self.model = model
        self.others: list[str] = []
        self.api_key = api_key
        self.replies: list[Reply] = [Reply("An answer.")]
        self.max_model_len: int | None = None
        self.respond: Callable[[dict[str, Any]], Reply] | None = None
        self.requests: list[dict[str, Any]] = []
        self.aborted = 0
        self.finished = 0
        self.at_once = 0
        self._answering = 0
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(self._app(), log_level="critical", ws="none", lifespan="off")
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> "OpenAIServer":
        self._thread.start()
        self.wait_until(lambda: self._server.started)
        return self

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    @staticmethod
    def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for ``condition``, which another thread brings about."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the condition did not come true")
            time.sleep(0.005)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _next_reply(self, body: dict[str, Any]) -> Reply:
        if self.respond is not None:
            return self.respond(body)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        async def models() -> dict[str, Any]:
            told = {"max_model_len": self.max_model_len} if self.max_model_len else {}
            names = (self.model, *self.others)
            listed = [{"id": name, "object": "model", **told} for name in names]
            return {"object": "list", "data": listed}

        app.post("/v1/chat/completions")(self._answer)
        app.post("/v1/completions")(self._answer)
        return app

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return _error(401, "wrong key")
        if body["model"] not in (self.model, *self.others):
            return _error(404, f"The model `{body['model']}` does not exist.")
        reply = self._next_reply(body)
        if reply.status != 200:
            return _error(reply.status, reply.error, reply.headers)
        if reply.body is not None:
            headers = dict(reply.headers)
            return Response(reply.body, reply.raw_status, headers, reply.media_type)
        if body.get("stream"):
            stream = self._stream(request, body, reply)
            return StreamingResponse(stream, media_type="text/event-stream")
        return await self._in_one_piece(request, body, reply)

    async def _in_one_piece(self, request: Request, body: dict[str, Any], reply: Reply) -> Response:
        with self._counted():
            if reply.die_after is not None:
                return StreamingResponse(_die(), media_type="application/json")
            if reply.hang_after is not None:
                await _hang(request)
            await asyncio.sleep(reply.delay)
            return Response(json.dumps(self._whole(body, reply)), media_type="application/json")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._answering += 1
        self.at_once = max(self.at_once, self._answering)
        try:
            yield
        finally:
            self._answering -= 1

    def _usage(self, body: dict[str, Any], reply: Reply) -> dict[str, int]:
        asked = [body["prompt"]] if "prompt" in body else [m["content"] for m in body["messages"]]
        prompt = sum(len(str(text).split()) for text in asked)
        completion = len(reply.text.split())
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def _whole(self, body: dict[str, Any], reply: Reply) -> dict[str, Any]:
        message = {"role": "assistant", "content": reply.text}
        said = {"text": reply.text, "logprobs": None} if "prompt" in body else {"message": message}
        choice = {"index": 0, **said, "finish_reason": reply.finish_reason}
        return {
            "id": "c",
            "object": "text_completion" if "prompt" in body else "chat.completion",
            "created": 0,
            "model": self.model,
            "choices": [choice],
            "usage": self._usage(body, reply) if reply.usage else None,
        }

    async def _stream(
        self, request: Request, body: dict[str, Any], reply: Reply
    ) -> AsyncIterator[str]:
        complete = False
        try:
            with self._counted():
                async for line in self._events(request, body, reply):
                    yield line
            complete = True
        finally:
            if complete:
                self.finished += 1
            else:
                self.aborted += 1

    async def _events(
        self, request: Request, body: dict[str, Any], reply: Reply
    ) -> AsyncIterator[str]:
        if "prompt" in body:
            for line in self._completion_events(body, reply):
                await asyncio.sleep(reply.delay)
                yield line
            return
        yield self._chunk({"role": "assistant", "content": ""})
        if reply.reasoning:
            yield self._chunk({"reasoning_content": reply.reasoning})
        for count, piece in enumerate([*reply.pieces(), ""]):
            if count == reply.die_after:
                raise ConnectionAbortedError
            if count == reply.hang_after:
                await _hang(request)
            await asyncio.sleep(reply.delay)
            if piece:
                yield self._chunk({"content": piece})
        for line in self._ending(body, reply):
            yield line

    def _completion_events(self, body: dict[str, Any], reply: Reply) -> Iterator[str]:
        frame = {**self._frame(), "object": "text_completion"}
        for piece in reply.pieces():
            choice = {"index": 0, "text": piece, "logprobs": None, "finish_reason": None}
            yield _event({**frame, "choices": [choice]})
        if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield _event({**frame, "choices": [], "usage": self._usage(body, reply)})
        yield "data: [DONE]\n\n"

    def _ending(self, body: dict[str, Any], reply: Reply) -> Iterator[str]:
        if reply.stream_error:
            yield _event({"error": {"message": reply.stream_error, "code": 500}})
        if reply.finish_reason:
            yield self._chunk({}, reply.finish_reason)
        if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield _event({**self._frame(), "choices": [], "usage": self._usage(body, reply)})
        if reply.done:
            yield "data: [DONE]\n\n"

    def _frame(self) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": self.model}

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({**self._frame(), "choices": [choice]})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _error(
    status: int, message: str, headers: Mapping[str, str] = MappingProxyType({})
) -> JSONResponse:
    content = {"error": {"message": message, "code": status}}
    return JSONResponse(content, status_code=status, headers=dict(headers))


async def _die() -> AsyncIterator[str]:
    """Break the connection in the midst of the answer."""
    yield '{"id": '
    raise ConnectionAbortedError


async def _hang(request: Request) -> None:
    """Stay silent until the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ConnectionAbortedError


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A running server, one for each test."""
    server = OpenAIServer().start()
    yield server
    server.close()
