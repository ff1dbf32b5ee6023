"""Any encoder of the registry behind `/v1/embeddings`: vLLM, OpenAI, or whatever speaks it."""

import logging
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PrivateAttr

from retrieval.encoders import golden as golden_vectors
from retrieval.encoders.base import Encoded, Vectors
from retrieval.encoders.errors import EncoderUnavailableError, ModelMismatchError, TextTooLongError
from retrieval.encoders.prompted import OnEncoded, PromptedEncoder
from retrieval.encoders.registry import EncoderRow
from retrieval.encoders.remote import probing
from retrieval.encoders.remote.embedding_server import EmbeddingServer, Inputs

_log = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 4
"""Of English text: the estimate where nobody has counted."""
_REQUEST_TOKENS = 32_768
"""Estimated tokens of a request. No text has more tokens than bytes, so there are never more than
four times as many, which is below the 300 000 that OpenAI takes at once."""
_MOST_TEXTS = 2048
"""Texts that OpenAI takes at once."""
_SPECIAL = 4
"""More than any tokenizer adds to a text: start, end, and SentencePiece's blank before a word."""
_CHARACTERS_PER_TOKEN = 6
"""More than usual: where cutting begins for a server that does not tokenize."""


class ServedEncoder(PromptedEncoder):
    """A row whose model runs behind `/v1/embeddings`.

    Texts are cut to their length exactly as the local backends do where the server tokenizes (vLLM
    does): a text whose bytes fit cannot have more tokens and is just sent, longer ones are counted
    by the server, and what is too long goes as token ids. For other servers (OpenAI) a text is
    shortened by a tenth at a time until it is accepted, and is reported as cut; they may cut
    silently, too, and read more than the row's length where they can.

    Vectors of rows with ``normalise`` are scaled to unit length here, too; a vLLM server is asked
    to leave those of the other rows as they are.

    Encoders may be shared by threads; the server is not called before the first use.

    Args:
        row: the model.
        url: base address, mostly ending in ``/v1``, or several, apart by blanks.
        api_key: the server's key; empty sends none.
        model: name of the model at the server; `row.model_id` if empty.
        revision: what the weights are called in the identity, instead of the row's revision.
        instruction: see `PromptedEncoder`.
        passage_length: tokens kept of a passage; None takes the row's.
        query_length: tokens kept of a query; None takes the row's.
        batch_texts: most texts in a request; long texts make smaller ones.
        concurrency: requests of a call that are in flight at once.
        timeout: most seconds without a sign of the server.
        attempts: calls in all before a busy or silent server is given up.
        golden: file of vectors that `verify` compares with; see `retrieval.encoders.golden`.

    Raises:
        ValueError: an argument is out of its range.
    """

    url: str
    served_name: str
    batch_texts: int
    concurrency: int
    golden: Path | None

    _server: EmbeddingServer = PrivateAttr()
    _remake: Any = PrivateAttr()
    _starts: dict[str, int] = PrivateAttr(default_factory=dict)
    _warned: bool = PrivateAttr(default=False)
    _hasty: dict[float, "ServedEncoder"] = PrivateAttr(default_factory=dict)

    def __init__(  # noqa: PLR0913 - every one is a setting
        self,
        row: EncoderRow,
        url: str,
        *,
        api_key: str = "",
        model: str = "",
        revision: str = "",
        instruction: str | None = None,
        passage_length: int | None = None,
        query_length: int | None = None,
        batch_texts: int = 64,
        concurrency: int = 4,
        timeout: float = 60.0,
        attempts: int = 5,
        golden: Path | None = None,
    ) -> None:
        if not 1 <= batch_texts <= _MOST_TEXTS:
            raise ValueError(f"batch_texts is {batch_texts}; allowed: 1 to {_MOST_TEXTS}")
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; allowed: 1 or more")
        server = EmbeddingServer(
            url, model or row.model_id, api_key, timeout=timeout, attempts=attempts
        )
        super().__init__(
            model_name=row.model_id,
            embed_batch_size=min(batch_texts * concurrency, _MOST_TEXTS),
            row=row,
            url=server.address,
            served_name=server.model,
            revision=revision,
            instruction=instruction,
            passage_length=row.passage_length if passage_length is None else passage_length,
            query_length=row.query_length if query_length is None else query_length,
            batch_texts=batch_texts,
            concurrency=concurrency,
            golden=golden,
        )
        self._server = server
        self._remake = partial(
            type(self), row, url=url, api_key=api_key, model=model, revision=revision,
            instruction=instruction, passage_length=passage_length, query_length=query_length,
            batch_texts=batch_texts, concurrency=concurrency, timeout=timeout, attempts=attempts,
            golden=golden,
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Copies, and other processes, get the arguments and open their own connections."""
        return self._remake, ()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> "ServedEncoder":
        copy: ServedEncoder = self._remake()
        return copy

    def patient(self, timeout: float, attempts: int) -> "ServedEncoder":
        """The same encoder with another patience; see the arguments of those names."""
        copy: ServedEncoder = self._remake(timeout=timeout, attempts=attempts)
        return copy

    def hasty(self, timeout: float) -> "ServedEncoder":
        """One that gives its server up after a single call; made once, and closed with this."""
        if timeout not in self._hasty:
            self._hasty[timeout] = self.patient(timeout, attempts=1)
        return self._hasty[timeout]

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as a passage, special tokens included, before any truncation.

        One call to the server. One token per four bytes where the server does not tokenize.
        """
        whole = self.row.passage_prefix(self.instruction) + text + self._end
        ids = self._server.tokenize(whole)
        return _estimate(whole) if ids is None else len(ids)

    def verify(self) -> str:
        """Try with real calls that the row's model is served, and served the row's way.

        See `retrieval.encoders.remote.probing` for what is tried. Only golden vectors tell all;
        where none are set, the findings say so.

        Raises:
            ModelMismatchError: it gives other vectors than the row promises.
            TextTooLongError: it reads less of a text than the lengths of this encoder.
            EncoderError: it does not answer.
        """
        if len(self._server.urls) > 1:
            return "; ".join(self._verify_at(str(url)) for url in self._server.urls)
        probing.probe(self)
        if self._server.tokenizes:
            self._refuse_short_server()
            self._refuse_causal_server()
        found = f"{self.row.model_id} at {self.url}, {self.dimension} dimensions"
        if self.golden is None:
            return (
                f"{found}; no golden vectors are set, so a wrong attention mask can pass unseen: "
                "make them with `rag-app golden` where the weights are, and set encoder.golden"
            )
        lowest = golden_vectors.check(self, golden_vectors.load(self.golden))
        return f"{found}, golden vectors agree (lowest cosine {lowest:.5f})"

    def _verify_at(self, url: str) -> str:
        alone: ServedEncoder = self._remake(url=url)
        try:
            return alone.verify()
        finally:
            alone.close()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._server.close()
        for one in self._hasty.values():
            one.close()

    def _encode(
        self, texts: Sequence[str], prefix: str, limit: int, on_encoded: OnEncoded | None = None
    ) -> Encoded:
        stop = threading.Event()

        def encode(batch: Sequence[str]) -> Encoded:
            part = self._encode_batch(batch, prefix, limit, stop)
            if on_encoded:
                on_encoded(len(batch))
            return part

        sizes = [min(_estimate(prefix + text), limit) for text in texts]
        batches = [texts[at.start : at.stop] for at in _batches(sizes, self.batch_texts)]
        if len(batches) <= 1:
            return _joined([encode(batch) for batch in batches], self.dimension)
        with ThreadPoolExecutor(min(self.concurrency, len(batches))) as pool:
            jobs = [pool.submit(encode, batch) for batch in batches]
            try:
                for job in as_completed(jobs):
                    job.result()  # the first error ends the call
            finally:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        return _joined([job.result() for job in jobs], self.dimension)

    def _encode_batch(
        self, texts: Sequence[str], prefix: str, limit: int, stop: threading.Event
    ) -> Encoded:
        """Encode a batch by one request for whole texts and one for those that were tokenized."""
        inputs = [self._fitted(text, prefix, limit, stop) for text in texts]
        out = Encoded(np.empty((len(texts), self.dimension), np.float32), [0] * len(texts), 0)
        cut = sum(is_cut for _, is_cut in inputs)
        for kind in (str, list):
            places = [at for at, (each, _) in enumerate(inputs) if isinstance(each, kind)]
            if not places:
                continue
            part = self._request([inputs[at][0] for at in places], limit, stop)
            out.vectors[places] = part.vectors
            for at, count in zip(places, part.tokens, strict=True):
                out.tokens[at] = count
            cut += part.truncated
        return out._replace(truncated=cut)

    def _fitted(
        self, text: str, prefix: str, limit: int, stop: threading.Event
    ) -> tuple[str | list[int], bool]:
        """What to send for a text, and whether it was cut.

        The first tokens are kept, and after them those that the tokenizer puts last.
        """
        whole = prefix + text + self._end
        if _most_tokens(whole) <= limit:
            return whole, False
        ids = self._server.tokenize(whole, stop)
        if ids is None or len(ids) <= limit:
            return ids or whole, False
        tail = self._tail
        room = limit - len(tail)
        if self._start(prefix) >= room:
            raise TextTooLongError(
                f"encoder {self.row.name} keeps {limit} tokens, and the instruction alone has more",
                hint="Set a larger passage_length and query_length, or a shorter instruction",
            )
        return ids[:room] + tail, True

    def _start(self, prefix: str) -> int:
        """Tokens before the text, the start token included; counted once."""
        if prefix not in self._starts:
            self._starts[prefix] = len(self._tokenized(prefix + self._end)) - len(self._tail)
        return self._starts[prefix]

    def _request(self, inputs: Inputs, limit: int, stop: threading.Event) -> Encoded:
        raw = not self.row.normalise and self._server.tokenizes
        try:
            vectors, total = self._server.embed(inputs, raw=raw, stop=stop)
        except TextTooLongError:
            if self._server.tokenizes:
                raise
            return self._shortened([str(each) for each in inputs], limit, stop)
        sizes = [_estimate(each) if isinstance(each, str) else len(each) for each in inputs]
        return Encoded(self._finished(vectors), _shares(total or sum(sizes), sizes), 0)

    def _shortened(self, texts: Sequence[str], limit: int, stop: threading.Event) -> Encoded:
        """Encode texts, at least one of which is too long for a server that cannot say which."""
        if len(texts) > 1:
            halves = texts[: len(texts) // 2], texts[len(texts) // 2 :]
            return _joined([self._request(half, limit, stop) for half in halves], self.dimension)
        (text,) = texts
        if _most_tokens(text) <= limit:
            self._server.embed(texts, stop=stop)  # raises the reason: not our limit, but its own
        if not self._warned:
            self._warned = True
            _log.warning("%s does not tokenize: long texts are cut by characters", self.url)
        kept = min(len(text) * 9 // 10, limit * _CHARACTERS_PER_TOKEN)
        return self._request([text[:kept]], limit, stop)._replace(truncated=1)

    def _finished(self, vectors: Vectors) -> Vectors:
        if vectors.shape[1] != self.dimension:
            raise ModelMismatchError(
                f"{self.served_name} at {self.url} gave {vectors.shape[1]} dimensions, not "
                f"{self.dimension}",
                cause=f"it is another model than {self.row.model_id}",
                hint="Check which model is served, and under which name",
            )
        if not self.row.normalise:
            return vectors
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    @cached_property
    def _end(self) -> str:
        """The end token as text, where the row wants one and the tokenizer puts none."""
        if not self.row.append_eos or not self._server.tokenizes or self._common_tail(""):
            return ""
        end = self._server.end_token()
        if not end:
            raise EncoderUnavailableError(
                f"encoder {self.row.name} needs an end token after each text",
                cause=f"the tokenizer at {self.url} adds none, and does not say which it is",
                hint="Start the server with --enable-tokenizer-info-endpoint",
            )
        return end

    @cached_property
    def _tail(self) -> list[int]:
        """The special tokens that stand after every text."""
        return self._common_tail(self._end)

    def _common_tail(self, end: str) -> list[int]:
        """The ids with which two texts of nothing in common end."""
        tail: list[int] = []
        ids = (reversed(self._tokenized(letter + end)) for letter in "ab")
        for one, other in zip(*ids, strict=False):
            if one != other:
                break
            tail.insert(0, one)
        return tail

    def _tokenized(self, text: str) -> list[int]:
        return self._server.tokenize(text) or []

    def _refuse_short_server(self) -> None:
        asked, read = max(self.passage_length, self.query_length), self._server.max_length
        if read is not None and read < asked:
            raise TextTooLongError(
                f"{self.served_name} at {self.url} reads {read} tokens of a text, not {asked}",
                hint=f"Serve it with --max-model-len {asked}, or set a smaller passage_length "
                "and query_length",
            )

    def _refuse_causal_server(self) -> None:
        if self.row.causal or self.row.pooling != "mean":
            return
        ids = self._tokenized(probing.SENTENCE)
        means = self._server.embed([ids[: at + 1] for at in range(len(ids))], raw=True).vectors
        if np.ptp(np.linalg.norm(means, axis=1)) > 1e-3:  # else the server scales them regardless
            probing.refuse_causal(self, means)


def _estimate(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def _most_tokens(text: str) -> int:
    """More tokens than any tokenizer makes of `text`: every one but the special has a byte.

    Tokenizers may bring text into a normal form first, which can have more bytes. The composed
    forms are never longer than the decomposed ones.
    """
    if text.isascii():
        return len(text) + _SPECIAL
    forms = text, unicodedata.normalize("NFD", text), unicodedata.normalize("NFKD", text)
    return max(len(form.encode()) for form in forms) + _SPECIAL


def _batches(sizes: Sequence[int], texts: int) -> Iterator[range]:
    """Neighbouring places of `sizes`, so many at once that no limit of a request is passed."""
    start = tokens = 0
    for at, size in enumerate(sizes):
        if at > start and (at - start >= texts or tokens + size > _REQUEST_TOKENS):
            yield range(start, at)
            start, tokens = at, 0
        tokens += size
    if sizes:
        yield range(start, len(sizes))


def _shares(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` handed out in proportion to `sizes`; they add up to it."""
    ends = [total * part // sum(sizes) for part in accumulate(sizes)]
    return [end - start for start, end in pairwise([0, *ends])]


def _joined(parts: Sequence[Encoded], dimension: int) -> Encoded:
    vectors = [part.vectors for part in parts] or [np.empty((0, dimension), np.float32)]
    tokens = [count for part in parts for count in part.tokens]
    return Encoded(np.concatenate(vectors), tokens, sum(part.truncated for part in parts))
