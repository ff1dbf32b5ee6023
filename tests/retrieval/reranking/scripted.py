"""Answers of a grading server, for the scripted OpenAI server; and one that reranks."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike

from tests.openai_server import OpenAIServer, Reply

Odds = Mapping[str, float]
"""Token -> probability."""


def client_of(
    connections: httpx.AsyncClient,
    url: str,
    *,
    chat: bool = True,
    model: str = "tiny-model",
    retries: int = 0,
) -> OpenAILike:
    """A client as the application makes one: its own limit of tokens is far above one."""
    return OpenAILike(
        model=model,
        api_base=url,
        is_chat_model=chat,
        api_key="unused",
        max_tokens=700,
        max_retries=retries,
        async_http_client=connections,
    )


def passages(texts: Sequence[str], scores: Sequence[float | None] | None = None) -> list:
    """Hits in this order, with falling scores where none are given."""
    scores = [1 - at / len(texts) for at in range(len(texts))] if scores is None else scores
    return [
        NodeWithScore(node=TextNode(id_=f"p{at}", text=text), score=score)
        for at, (text, score) in enumerate(zip(texts, scores, strict=True))
    ]


def ids(nodes: Sequence[NodeWithScore]) -> list[str]:
    return [found.node.node_id for found in nodes]


def chat_odds(odds: Odds, *more: Odds, text: str | None = None) -> Reply:
    """A chat answer that tells the odds of its tokens, one dictionary a token."""
    positions = [
        {
            "token": max(position, key=position.__getitem__),
            "logprob": _log(max(position.values())),
            "bytes": None,
            "top_logprobs": [
                {"token": token, "logprob": _log(odd), "bytes": None}
                for token, odd in position.items()
            ],
        }
        for position in (odds, *more)
    ]
    said = "".join(position["token"] for position in positions) if text is None else text
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": said},
        "finish_reason": "length",
        "logprobs": {"content": positions},
    }
    return _whole("chat.completion", choice)


def completion_odds(text: str, *positions: Odds, finish_reason: str = "stop") -> Reply:
    """A raw completion with the odds of its tokens."""
    logs = [{token: _log(odd) for token, odd in position.items()} for position in positions]
    tokens = [max(each, key=each.__getitem__) for each in logs]
    logprobs = {
        "tokens": tokens,
        "token_logprobs": [log[token] for log, token in zip(logs, tokens, strict=True)],
        "top_logprobs": logs,
        "text_offset": [0] * len(logs),
    }
    choice = {
        "index": 0,
        "text": text,
        "finish_reason": finish_reason,
        "logprobs": logprobs if positions else None,
    }
    return _whole("text_completion", choice)


def asked(body: Mapping[str, Any]) -> str:
    """All that a request tells the model."""
    return body["prompt"] if "prompt" in body else "\n".join(m["content"] for m in body["messages"])


class RerankServer(OpenAIServer):
    """Also answers ``/v1/rerank``, with failures as they are scripted for chats.

    Attributes:
        form: which fields it takes: ``vllm``, ``jina`` or ``tei``; others are refused.
        score: of a passage's text.
        failures: replies to the next requests to rerank.
    """

    def __init__(self) -> None:
        super().__init__()
        self.form = "vllm"
        self.score: Callable[[str], Any] = len
        self.failures: list[Reply] = []

    def _app(self) -> FastAPI:
        app = super()._app()
        app.post("/v1/rerank")(self._reranked)
        return app

    async def _reranked(self, request: Request) -> Response:
        body = await request.json()
        keyed = request.headers.get("authorization") == f"Bearer {self.api_key}"
        if self.failures or body["model"] != self.model or (self.api_key and not keyed):
            self.replies = [self.failures.pop(0)] if self.failures else self.replies
            return await self._answer(request)
        self.requests.append(body)
        if set(body) - {"model", "query"} != _FIELDS[self.form]:
            return JSONResponse({"detail": "unknown field"}, 422)
        scores = [self.score(text) for text in body.get("documents") or body["texts"]]
        best_first = sorted(range(len(scores)), key=lambda at: -scores[at])
        name = "score" if self.form == "tei" else "relevance_score"
        results = [{"index": at, name: scores[at]} for at in best_first]
        return JSONResponse(results if self.form == "tei" else {"id": "r", "results": results})


_FIELDS = {
    "vllm": {"documents", "truncate_prompt_tokens"},
    "jina": {"documents"},
    "tei": {"texts", "truncate"},
}


def _log(odd: float) -> float:
    return math.log(odd) if odd else -9999.0


def _whole(kind: str, choice: dict[str, Any]) -> Reply:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {"id": "c", "object": kind, "created": 0, "model": "tiny-model", "choices": [choice]}
    return Reply(body=json.dumps({**body, "usage": usage}))
