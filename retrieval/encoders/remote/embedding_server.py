"""Calls to a server that speaks OpenAI's `/v1/embeddings`: vLLM, OpenAI itself and many others."""

import base64
import re
import threading
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import numpy as np
import orjson
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from data.arguments import at_least
from data.text import well_formed
from retrieval.encoders.base import Vectors
from retrieval.encoders.errors import (
    EncoderError,
    EncoderUnavailableError,
    ModelMismatchError,
    TextTooLongError,
)
from retrieval.encoders.remote.balancing import Balancer
from retrieval.replies import PLAIN, ReplyError, pieces

Inputs = Sequence[str | list[int]]
"""What one request embeds: texts alone, or token ids alone, with all special tokens."""

_LONGEST_WAIT = 30.0
_LARGEST_ANSWER, _LARGEST_VECTOR = 16 << 20, 512 << 10
"""Bytes of an answer without vectors, and for each text; 4,096 decimal numbers are about 90 kB."""
_SLOWEST = 10
"""How many times the longest silence a whole answer may take."""
_MOST_NAMED = 20
"""Models of a server that an error names."""
_KEPT = ("content-type", "retry-after")
"""Headers that are looked at."""
_TOO_LONG = re.compile(
    r"too (long|large)|context (length|size)|less than \d+ tokens|tokens.* exceeds?", re.IGNORECASE
)
"""Parts of what OpenAI, vLLM, llama.cpp, text-embeddings-inference and others say."""


class Embedded(NamedTuple):
    """One answer.

    Attributes:
        vectors: float32 [inputs, dimension], in the order of the inputs, finite and not zero.
        tokens: tokens that went through the model; None where the server does not say.
    """

    vectors: Vectors
    tokens: int | None


class EmbeddingServer:
    """One model behind `/v1/embeddings`.

    A call that may succeed later (no connection, time-out, 429, 5xx) is made again; waits are
    random, up to a bound that doubles from `pause` to 10 s, and as long as the server asks for in
    `Retry-After`. Embedding twice has no effect but its cost, so repeating is safe. May be shared
    by threads; connections are opened at the first call. Proxies of the environment are not used.

    Args:
        url: address that ends where ``/embeddings`` follows, mostly in ``/v1``; several, apart by
            blanks, share the work, and one that fails is left alone while another answers.
        model: the name under which the server knows it.
        api_key: sent as a bearer token; empty sends none.
        timeout: most seconds without a sign of the server.
        attempts: calls in all, at least 1; one more for each address after the first.
        pause: bound of the first wait in seconds, above 0.

    Attributes:
        max_length: tokens that it reads of a text, once it has tokenized; None if it does not say.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key: str = "",
        *,
        timeout: float = 60.0,
        attempts: int = 5,
        pause: float = 0.5,
    ) -> None:
        self.urls = [_checked_url(one) for one in url.split() or [url]]
        self._balancer = Balancer(self.urls)
        at_least(1, attempts=attempts)
        if not timeout > 0 or not pause > 0:
            raise ValueError(f"timeout is {timeout} and pause {pause}; both must be above 0")
        if not re.fullmatch(r"[!-~]*", api_key):
            raise ValueError("api_key holds characters that no key has, such as a line feed")
        self.model = model
        self._api_key, self._timeout = api_key, timeout
        self._attempts = attempts + len(self.urls) - 1
        self._wait = wait_random_exponential(multiplier=pause, max=10)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._tokenizes: bool | None = None
        self.max_length: int | None = None

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        return " ".join(str(one.copy_with(userinfo=b"", query=None)) for one in self.urls)

    def embed(
        self, inputs: Inputs, *, raw: bool = False, stop: threading.Event | None = None
    ) -> Embedded:
        """Embed texts or token ids in one request.

        Args:
            inputs: at least one.
            raw: asks a vLLM server to leave vectors at the length that they have.
            stop: once it is set, nothing is tried again.

        Raises:
            TextTooLongError: one of the inputs has more tokens than the server reads.
            ModelMismatchError: the model is unknown, or the answer holds no usable vectors.
            EncoderUnavailableError: no answer; names the address, the reason and a hint.
        """
        sent = [well_formed(each) if isinstance(each, str) else each for each in inputs]
        body: dict[str, Any] = {"model": self.model, "input": sent, "encoding_format": "base64"}
        if raw:
            body["use_activation"] = False
        try:
            answer = orjson.loads(self._call("POST", "embeddings", body, stop).content)
            places = [each["index"] for each in answer["data"]]
            vectors = [_floats(each["embedding"]) for each in answer["data"]]
            tokens = _count((answer.get("usage") or {}).get("prompt_tokens"))
        except httpx.HTTPStatusError as error:
            raise self._refused(error.response) from error
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._unusable(f"its answer holds no vectors ({error!r})") from error
        if len(vectors) != len(inputs):
            raise self._unusable(f"it gave {len(vectors)} vectors for {len(inputs)} texts")
        if any(type(at) is not int for at in places) or {*places} != {*range(len(inputs))}:
            raise self._unusable(f"its vectors are not numbered from 0 to {len(inputs) - 1}")
        if len({len(vector) for vector in vectors}) != 1:
            raise self._unusable("it gave vectors of different dimensions")
        ordered = [vectors[at] for at in np.argsort(places)]
        return Embedded(self._usable(np.stack(ordered)), tokens)

    def tokenize(self, text: str, stop: threading.Event | None = None) -> list[int] | None:
        """The ids of `text`, special tokens included; None where the server cannot tell.

        vLLM (and SGLang) have ``POST /tokenize`` beside ``/v1``, others have something else there,
        or nothing.

        Raises:
            EncoderUnavailableError: no answer, or none any more.
        """
        if self._tokenizes is False:
            return None
        body = {"model": self.model, "prompt": well_formed(text)}
        answer = self._optional("POST", "../tokenize", body, stop)
        ids = answer.get("tokens")
        known = (
            isinstance(ids, list)
            and answer.get("count") == len(ids)
            and all(_count(each) is not None for each in ids)
        )
        if self._tokenizes and not known:
            raise self._unusable("it does not tokenize any more")
        self._tokenizes, self.max_length = known, _count(answer.get("max_model_len"))
        return ids if known else None

    @property
    def tokenizes(self) -> bool:
        """Whether the server tokenizes; asks it the first time."""
        if self._tokenizes is None:
            self.tokenize("a")
        return bool(self._tokenizes)

    def end_token(self) -> str | None:
        """The end-of-text token as text, from ``/tokenizer_info``; None where that is not served.

        vLLM serves it with ``--enable-tokenizer-info-endpoint``.
        """
        token = self._optional("GET", "../tokenizer_info").get("eos_token")
        token = token.get("content") if isinstance(token, dict) else token
        return token if isinstance(token, str) else None

    def models(self) -> list[str]:
        """The models that the server lists; none where it does not list them."""
        listed = self._optional("GET", "models").get("data")
        return [str(each["id"]) for each in listed or [] if isinstance(each, dict) and "id" in each]

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _optional(
        self, method: str, path: str, body: Any = None, stop: threading.Event | None = None
    ) -> dict[str, Any]:
        """The answer of an address that not every server has; empty where there is none."""
        try:
            answer = orjson.loads(self._call(method, path, body, stop).content)
        except httpx.HTTPStatusError as error:
            if _is_transient(error):  # it may well have the address, and tell later
                raise self._refused(error.response) from error
            return {}
        except orjson.JSONDecodeError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        stop: threading.Event | None = None,
    ) -> httpx.Response:
        """The answer; HTTPStatusError if it is a refusal that more calls do not change.

        A path that begins with ``../`` lies beside ``/v1``, others below it.
        """
        stop = stop or threading.Event()
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts) | stop_when_event_set(stop),
            wait=self._patience,
            retry=retry_if_exception(_is_transient),
            sleep=sleep_using_event(stop),
            reraise=True,
        )
        content = None if body is None else orjson.dumps(body)
        most = _LARGEST_ANSWER + _LARGEST_VECTOR * len((body or {}).get("input", ()))
        try:
            return retrying(self._send, method, path, content, most)
        except httpx.TransportError as error:
            raise self._silent(str(error) or type(error).__name__) from error

    def _send(self, method: str, path: str, content: bytes | None, most: int) -> httpx.Response:
        headers = {"content-type": "application/json"} if content else {}
        with self._balancer.chosen(_is_transient) as base:
            url = _address(base, path)
            with self._open().stream(method, url, content=content, headers=headers) as response:
                try:
                    held = b"".join(self._timely(pieces(response, most)))
                except ReplyError as error:
                    raise self._unusable(str(error)) from error
            whole = httpx.Response(
                response.status_code,
                headers={k: v for k, v in response.headers.items() if k in _KEPT},
                content=held,
                request=response.request,
            )
            return whole.raise_for_status()

    def _timely(self, answer: Iterator[bytes]) -> Iterator[bytes]:
        """Its pieces; each has a limit of its own, but there may be any number of them."""
        end = time.monotonic() + _SLOWEST * self._timeout
        for piece in answer:
            yield piece
            if time.monotonic() > end:
                raise self._unusable(f"its answer has no end after {_SLOWEST * self._timeout:g} s")

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                key = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
                self._client = httpx.Client(
                    timeout=self._timeout, headers={**PLAIN, **key}, trust_env=False
                )
            return self._client

    def _patience(self, state: RetryCallState) -> float:
        if self._balancer.others_left:
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        asked = ""
        if isinstance(error, httpx.HTTPStatusError):
            asked = error.response.headers.get("retry-after", "")
        seconds = float(asked) if re.fullmatch(r"\d+(\.\d+)?", asked) else 0.0
        return max(self._wait(state), min(seconds, _LONGEST_WAIT))

    def _usable(self, vectors: Vectors) -> Vectors:
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ModelMismatchError(
                f"{self.model} at {self.address} gave a vector that is not finite, or zero",
                cause="its arithmetic overflows, or all tokens of a text are left out of pooling",
                hint="Serve it with bfloat16 or float32, by the command of `rag-app serve-command`",
            )
        return vectors

    def _silent(self, cause: str) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"the encoder server at {self.address} does not answer",
            cause=cause,
            hint="Start it, or check its address in the encoder settings; what was done so far "
            "is kept, so the command can be repeated",
        )

    def _unusable(self, cause: str) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"the server at {self.address} does not embed as OpenAI's API does",
            cause=cause,
            hint="Check that the address ends in /v1 and that an embedding model is served",
        )

    def _refused(self, response: httpx.Response) -> EncoderError:
        status, reason = response.status_code, _reason(response)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return EncoderUnavailableError(
                f"the encoder server at {self.address} refuses the key",
                cause=f"{reason} ({status})" if self._api_key else f"no key was sent ({status})",
                hint="Set the right api_key in the encoder settings",
            )
        if status == HTTPStatus.NOT_FOUND:
            return self._unknown_model(reason)
        if status < HTTPStatus.TOO_MANY_REQUESTS and _TOO_LONG.search(reason):
            return TextTooLongError(
                f"{self.model} at {self.address} cannot read a text whole",
                cause=reason,
                hint="Serve it with the row's length (--max-model-len), or set a smaller "
                "passage_length and query_length",
            )
        if _is_transient(response):
            return self._silent(f"{reason} ({status}), {self._attempts} times")
        return EncoderUnavailableError(
            f"the encoder server at {self.address} refused a request",
            cause=f"{reason} ({status})",
            hint="Check the server's log, and the command of `rag-app serve-command`",
        )

    def _unknown_model(self, reason: str) -> EncoderError:
        models = self.models()
        if self.model in models:
            return self._unusable(f"it lists {self.model}, but: {reason}")
        if not models:
            return self._unusable(reason)
        return ModelMismatchError(
            f"the encoder server at {self.address} has no model {self.model!r}",
            cause=f"it serves {', '.join(name[:100] for name in models[:_MOST_NAMED])}",
            hint="Set served_name in the encoder settings to the name it is served under",
        )


def _checked_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url {url!r} is no address: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"url is {url!r}; it must begin with http:// or https://")
    return parsed


def _address(base: httpx.URL, path: str) -> httpx.URL:
    root = base.path.rstrip("/")
    if path.startswith("../"):
        root, path = root.removesuffix("/v1"), path.removeprefix("../")
    return base.copy_with(path=f"{root}/{path}")


def _is_transient(failure: BaseException | httpx.Response) -> bool:
    if isinstance(failure, httpx.HTTPStatusError):
        failure = failure.response
    if isinstance(failure, httpx.Response):
        status = failure.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return True
        return status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED
    return isinstance(failure, httpx.TransportError)


def _count(value: object) -> int | None:
    """A number of things, where it is one."""
    return value if type(value) is int and value >= 0 else None


def _floats(embedding: str | list[float]) -> Vectors:
    """A vector as it is sent: base64 of little-endian float32, or a list of numbers."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    vector = np.array(embedding, np.float32)
    if vector.ndim > 1:  # llama.cpp's list of the one vector
        (vector,) = vector
    return vector.reshape(-1)


def _reason(response: httpx.Response) -> str:
    """What the server gives as the reason, in at most 300 characters."""
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        answer = {}
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    reason = (error.get("message") or error.get("detail")) if isinstance(error, dict) else error
    words = " ".join(str(reason or response.reason_phrase).split())
    return words if len(words) <= 300 else f"{words[:300]}..."
