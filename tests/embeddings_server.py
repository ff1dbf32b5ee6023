"""A real loopback server that speaks `/v1/embeddings` and `/tokenize`, with failures by script.

Its model is the mean of one random direction a token, which also depends on the token before it, as
in a causal model: vectors follow from token ids alone, and the order of words counts.
"""

import asyncio
import base64
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

DIMENSION = 32
BOS, EOS = 1, 2
END = "<|end|>"
KEY = "the-key"


def ids_of(text: str, *, ends: bool = False) -> list[int]:
    """A start token, then a token a word; the end token where it is written, or `ends`."""
    words = [EOS if word == END else 3 + zlib.crc32(word.encode()) for word in _words(text)]
    return [BOS, *words, *([EOS] if ends else [])]


def vector_of(ids: Sequence[int]) -> NDArray[np.float32]:
    """The vector of a prompt, not of unit length."""
    pairs = zip(ids, [0, *ids], strict=False)
    return np.mean([_direction(*pair) for pair in pairs], axis=0).astype(np.float32)


class EmbeddingsServer:
    """Serves one model on a loopback port, which it keeps over `stop` and `start`.

    Attributes:
        model: its name.
        api_key: what ``/v1`` asks for; empty asks for nothing.
        tokenizes: whether there is ``/tokenize``.
        ends: whether the tokenizer puts an end token.
        end_token: what ``/tokenizer_info`` says it is; None has no such address.
        max_length: tokens it reads of a text; longer ones are refused.
        failures: statuses with which the next requests to ``/v1/embeddings`` are answered; 0 breaks
            the connection off.
        tokenizer_failures: the same of ``/tokenize``.
        failing: what a status of `failures` says, and its headers.
        stop_after: embeddings requests after which it stops, as a server that crashes.
        floats: answers with lists of numbers whatever is asked.
        change: what is done to vectors, [n, dimension], before they are sent.
        delay: seconds that an answer takes.
        requests: bodies of all embeddings requests.
        tokenized: prompts of all others.
        number: what an answer gives as the index of a vector.
        most_at_once: embeddings requests that were there together.
    """

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all requests, and fail at nothing."""
        self.model, self.api_key = "tests/pairs", ""
        self.tokenizes, self.ends, self.floats = True, False, False
        self.end_token: str | None = None
        self.max_length = 10_000
        self.failures: list[int] = []
        self.tokenizer_failures: list[int] = []
        self.failing: tuple[str, dict[str, str]] = ("scripted failure", {})
        self.stop_after: int | None = None
        self.change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda vectors: vectors
        self.number: Callable[[int], Any] = lambda at: at
        self.delay = 0.0
        self.requests: list[dict[str, Any]] = []
        self.tokenized: list[str] = []
        self.most_at_once = self._at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def accepting(self) -> bool:
        """Whether it takes requests."""
        return bool(self._server and not self._server.should_exit)

    @property
    def inputs(self) -> list[str | list[int]]:
        """All that was to be embedded."""
        return [each for body in self.requests for each in body["input"]]

    def start(self) -> "EmbeddingsServer":
        """Listen, if it does not yet."""
        if self.accepting:
            return self
        self.stop()
        config = uvicorn.Config(
            self._app(), host="127.0.0.1", port=self.port, log_level="critical", ws="none",
            lifespan="off", timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Close the port and all connections."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(10)
            self._server = self._thread = None

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/tokenize")
        async def tokenize(request: Request) -> Response:
            if not self.tokenizes:
                return JSONResponse({"detail": "Not Found"}, 404)
            if self.tokenizer_failures:
                return _error(self.tokenizer_failures.pop(0), *self.failing)
            prompt = (await request.json())["prompt"]
            self.tokenized.append(prompt)
            ids = ids_of(prompt, ends=self.ends)
            length = self.max_length
            return JSONResponse({"count": len(ids), "max_model_len": length, "tokens": ids})

        @app.get("/tokenizer_info")
        async def tokenizer_info() -> Response:
            if self.end_token is None:
                return JSONResponse({"detail": "Not Found"}, 404)
            return JSONResponse({"tokenizer_class": "Pairs", "eos_token": self.end_token})

        @app.get("/v1/models")
        async def models() -> dict[str, Any]:
            return {"object": "list", "data": [{"id": self.model, "object": "model"}]}

        @app.post("/v1/embeddings")
        async def embeddings(request: Request) -> Response:
            body = await request.json()
            self.requests.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                await asyncio.sleep(self.delay)
                return self._answer(request, body)
            finally:
                self._at_once -= 1

        return app

    def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        if self.stop_after is not None and len(self.requests) > self.stop_after:
            assert self._server
            self._server.should_exit = True
            return _BrokenOff()
        if self.failures:
            status = self.failures.pop(0)
            return _error(status, *self.failing) if status else _BrokenOff()
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        if body["model"] != self.model:
            return _error(404, f"The model `{body['model']}` does not exist.")
        prompts = [
            ids_of(each, ends=self.ends) if isinstance(each, str) else each
            for each in body["input"]
        ]
        longest = max(map(len, prompts))
        if longest > self.max_length:
            return _error(
                400,
                f"This model's maximum context length is {self.max_length} tokens, however you "
                f"requested {longest} tokens.",
            )
        return self._embedded(body, prompts)

    def _embedded(self, body: dict[str, Any], prompts: list[list[int]]) -> Response:
        vectors = np.stack([vector_of(ids) for ids in prompts])
        if body.get("use_activation") is not False:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        data = [
            {"object": "embedding", "index": at, "embedding": self._sent(vector, body)}
            for at, vector in enumerate(self.change(vectors).astype("<f4"))
        ]
        for each in data:
            each["index"] = self.number(each["index"])
        tokens = sum(map(len, prompts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "data": data[::-1], "usage": usage})

    def _sent(self, vector: NDArray[np.float32], body: dict[str, Any]) -> str | list[float]:
        if self.floats or body.get("encoding_format") != "base64":
            return [float(number) for number in vector]
        return base64.b64encode(vector.tobytes()).decode()


class _BrokenOff(Response):
    """Begins an answer and never ends it, at which uvicorn closes the connection.

    An exception would not do: it is answered with 500, and the connection is closed a moment later,
    so that now and then the next request meets a closing connection and counts as one more failure.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.fixture(scope="module")
def embeddings_server() -> Iterator[EmbeddingsServer]:
    """One server for the tests of a module; each begins with `reset` and `start`."""
    server = EmbeddingsServer()
    yield server
    server.stop()


def _words(text: str) -> list[str]:
    return text.replace(END, f" {END} ").split()


@cache
def _direction(token: int, before: int) -> NDArray[np.float64]:
    direction = np.random.default_rng([token, before]).normal(size=DIMENSION)
    return direction / np.linalg.norm(direction)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "code": status}}, status, headers)
