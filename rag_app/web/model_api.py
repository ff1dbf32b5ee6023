"""The encoders and the reranker themselves, in the forms of OpenAI's and of Jina's APIs."""

import base64
import uuid
from typing import Any, Final, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from data.tokens import estimate_tokens
from rag_app.remote import wire
from rag_app.service import EncoderName, Service
from rag_app.web.openai_requests import Refused

_AS_SENT: Final = "<f4"
"""Numbers of an embedding in base64: float32, the lowest byte first."""


class EmbeddingRequest(BaseModel):
    """Texts to be encoded; fields that are not named here are ignored.

    Attributes:
        input_type: `query` encodes as questions are encoded, for encoders that tell them apart.
    """

    model: EncoderName = Field(max_length=200)
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    input_type: Literal["passage", "document", "query"] = "passage"

    def texts(self) -> list[str]:
        """The texts. Raises Refused for tokens, and where there is none."""
        given = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) < len(given):
            raise Refused(
                "`input` has to be text, not tokens",
                cause="each encoder has a tokenizer of its own",
                hint="Send strings; LangChain: check_embedding_ctx_length=False",
            )
        if not texts:
            raise Refused("`input` is empty", hint="Send a string, or a list of them")
        return texts


class _Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class _EncodingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(BaseModel):
    """A vector for each text; numbers, or base64 of float32 with the lowest byte first."""

    object: Literal["list"]
    data: list[_Embedding]
    model: str
    usage: _EncodingUsage


class _Text(BaseModel):
    text: str


class RerankRequest(BaseModel):
    """Documents to be put in order; fields that are not named here are ignored.

    Attributes:
        model: ignored: the settings say what reranks.
    """

    query: str
    documents: list[str | _Text]
    model: str = Field("", max_length=200)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False

    def texts(self) -> list[str]:
        """The documents' texts."""
        return [one if isinstance(one, str) else one.text for one in self.documents]


class _Ranked(BaseModel):
    index: int
    relevance_score: float
    document: _Text | None = None


class RerankAnswer(BaseModel):
    """The documents' places, best first, `document` where asked for; `usage` is an estimate."""

    id: str
    model: str
    usage: _EncodingUsage
    results: list[_Ranked]


def model_api(service: Service) -> APIRouter:
    """The routes `/embeddings` and `/rerank`."""
    router = APIRouter()

    @router.post(
        "/embeddings",
        responses={200: {"model": EmbeddingAnswer}},
        summary="Encode texts as vectors.",
    )
    async def embeddings(body: EmbeddingRequest) -> Response:
        """By an encoder in use, which `/v1/models` lists."""
        encoded = await service.embed(body.texts(), body.model, body.input_type == "query")
        size = len(encoded.vectors[0])
        if body.dimensions not in {None, size}:
            raise Refused(
                f"`dimensions` is {body.dimensions}: vectors of {body.model} cannot be shortened",
                hint=f"Leave it out, or say {size}",
            )
        written = _base64 if body.encoding_format == "base64" else list
        data = [
            {"object": "embedding", "index": at, "embedding": written(vector)}
            for at, vector in enumerate(encoded.vectors)
        ]
        usage = {"prompt_tokens": encoded.tokens, "total_tokens": encoded.tokens}
        return _json({"object": "list", "data": data, "model": body.model, "usage": usage})

    @router.post(
        "/rerank",
        responses={200: {"model": RerankAnswer}},
        summary="Put documents in the order of their relevance to a query.",
    )
    async def rerank(body: RerankRequest) -> Response:
        """By the reranker that the settings name, in the form of Jina, Cohere and vLLM."""
        texts = body.texts()
        ranked = await service.rerank(body.query, texts)
        results = [
            {"index": one.index, "relevance_score": one.score}
            | ({"document": {"text": texts[one.index]}} if body.return_documents else {})
            for one in ranked[: body.top_n]
        ]
        tokens = sum(estimate_tokens(body.query) + estimate_tokens(text) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        name = f"rerank-{uuid.uuid4().hex}"
        return _json({"id": name, "model": body.model, "usage": usage, "results": results})

    return router


def _base64(vector: list[float]) -> str:
    return base64.b64encode(np.asarray(vector, _AS_SENT).tobytes()).decode("ascii")


def _json(answer: dict[str, Any]) -> Response:
    return Response(wire.dumped(answer), media_type="application/json")
