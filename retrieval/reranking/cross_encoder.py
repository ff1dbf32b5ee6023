"""A cross-encoder behind a `/rerank` address: vLLM, text-embeddings-inference, Jina and others."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import httpx
from llama_index.core.bridge.pydantic import PrivateAttr
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from data.arguments import at_least
from data.text import well_formed
from retrieval.replies import PLAIN, read
from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker

_Form = Callable[[list[str]], dict[str, Any]]
_FORMS: Final[Sequence[_Form]] = (
    lambda texts: {"documents": texts, "truncate_prompt_tokens": -1},
    lambda texts: {"documents": texts},
    lambda texts: {"texts": texts, "truncate": True},
)
"""How passages are named: by vLLM, told to cut what is too long; by Jina; by TEI, told the same."""
_ATTEMPTS: Final = 3
_LONGEST_WAIT: Final = 4.0
_LARGEST_ANSWER: Final = 16 << 20
"""Bytes; some servers send all passages back with their scores."""
_MOST_REASON: Final = 300
"""Bytes of a refusal that are told."""


class CrossEncoderReranker(PointwiseReranker):
    """Sends query and passages in batches, and takes the scores that come back as grades.

    The first request finds out which form the server understands. One that may succeed later (no
    connection, 429, 5xx) is made up to three times. Where scores are not between 0 and 1, they are
    taken for logits and go through a sigmoid.

    Args:
        connections: makes the calls; whoever made it closes it.
        url: address that ends where ``/rerank`` follows.
        model: the name under which the server knows the model.
        api_key: sent as a bearer token; empty sends none.
        batch: passages a request, at least 1.
        grading: see `PointwiseReranker`; by default the server cuts passages, which with a chat
            template may cut off the template's end.

    Raises:
        ValueError: an argument is out of its range.
    """

    name: ClassVar[str] = "cross-encoder"
    default_grading: ClassVar[Grading] = Grading(weight=1.0, concurrency=4)
    _connections: httpx.AsyncClient = PrivateAttr()
    _url: str = PrivateAttr()
    _model: str = PrivateAttr()
    _headers: Mapping[str, str] = PrivateAttr()
    _form: _Form | None = PrivateAttr(default=None)

    def __init__(
        self,
        connections: httpx.AsyncClient,
        url: str,
        model: str,
        *,
        api_key: str = "",
        batch: int = 32,
        grading: Grading = default_grading,
    ) -> None:
        super().__init__(grading)
        at_least(1, batch=batch)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url is {url!r}; it must begin with http:// or https://")
        self._connections, self._url, self._model = connections, url.rstrip("/"), model
        key = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers = {**PLAIN, **key}
        self._batch = batch

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        scores = await self._scores(well_formed(query), [well_formed(one) for one in passages])
        return [Graded(score, "missing" if score is None else "ok") for score in scores]

    def _calibrated(self, grades: Sequence[float | None]) -> Sequence[float | None]:
        known = [grade for grade in grades if grade is not None]
        if all(0 <= grade <= 1 for grade in known):
            return grades
        return [None if grade is None else sigmoid(grade) for grade in grades]

    async def _scores(self, query: str, texts: list[str]) -> list[float | None]:
        """By the first form that the server does not refuse."""
        forms = _FORMS if self._form is None else (self._form,)
        for form in forms:
            try:
                results = await self._post({"model": self._model, "query": query, **form(texts)})
            except httpx.HTTPStatusError as error:
                if form is forms[-1] or error.response.status_code not in (400, 422):
                    raise
            else:
                self._form = form
                return _by_index(results, len(texts))
        raise AssertionError("there is a form")

    async def _post(self, body: Mapping[str, Any]) -> Any:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(0.2, max=_LONGEST_WAIT),
            reraise=True,
        ):
            with attempt:
                async with self._connections.stream(
                    "POST",
                    f"{self._url}/rerank",
                    json=body,
                    headers=self._headers,
                    timeout=self._grading.deadline,
                ) as response:
                    answer = await read(response, _LARGEST_ANSWER)
                if not response.is_success:
                    problem = answer[:_MOST_REASON].decode(errors="replace")
                    problem = f"HTTP {response.status_code}: {problem}"
                    raise httpx.HTTPStatusError(
                        problem, request=response.request, response=response
                    )
                return _parsed(answer)
        raise AssertionError("the last attempt raises")


def _parsed(answer: bytes) -> Any:
    try:
        return json.loads(answer)  # unlike orjson it reads NaN, which some servers write
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _by_index(answered: Any, size: int) -> list[float | None]:
    """Scores in the order of the passages, from a list (TEI) or an object with ``results``.

    A score that is no finite number, or of no passage, is left out.

    Raises:
        ValueError: the answer is of another form, or scores a passage twice.
    """
    scores: list[float | None] = [None] * size
    seen: set[int] = set()
    try:
        for result in answered["results"] if isinstance(answered, dict) else answered:
            at, score = result["index"], result.get("relevance_score", result.get("score"))
            if type(at) is not int or not 0 <= at < size:
                continue
            if at in seen:
                raise ValueError(f"the answer scores passage {at} twice")
            seen.add(at)
            if isinstance(score, int | float) and math.isfinite(score):
                scores[at] = float(score)
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("the answer is not of the API's form") from error
    return scores


def sigmoid(logit: float) -> float:
    """A score of any size as a share from 0 to 1."""
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status == 429 or status >= 500
    return isinstance(error, httpx.TransportError)
