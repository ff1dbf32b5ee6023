"""What models are asked directly: vectors of texts, and how well texts answer a question."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, TextNode

from data.text import well_formed
from rag_app.errors import ApplicationError, RerankerUnavailable
from rag_app.pipeline import rerank
from rag_app.results import Embeddings, Relevance
from retrieval.encoders.base import Encoder
from retrieval.reranking.base import Reranker
from retrieval.reranking.none import KeepOrder

_LONGEST_QUESTION: Final = 100_000
"""Characters; what is longer only costs time, as encoders read less than that."""
_MOST_TEXTS, _MOST_CHARACTERS = 2048, 400_000
"""Of one request to encode or to rerank."""
_ENCODED_AT_ONCE: Final = 32


async def embed(encoder: Encoder, texts: Sequence[str], queries: bool) -> Embeddings:
    """The vectors of texts, as queries or as passages; see `Service.embed`.

    Raises:
        ApplicationError: these are too many texts.
    """
    _require_few(texts)
    encode = encoder.encode_queries if queries else encoder.encode_passages
    done = Embeddings(encoder.row.name, [], 0)
    for at in range(0, len(texts), _ENCODED_AT_ONCE):  # ends soon after its client has left
        part = [well_formed(text) for text in texts[at : at + _ENCODED_AT_ONCE]]
        encoded = await asyncio.to_thread(encode, part)
        done.vectors.extend(encoded.vectors.tolist())
        done = replace(done, tokens=done.tokens + sum(encoded.tokens))
    return done


async def grade(
    reranker: BaseNodePostprocessor, question: str, texts: Sequence[str]
) -> list[Relevance]:
    """How well texts answer a question, the best first; see `Service.rerank`.

    Raises:
        ApplicationError: these are too many texts, or there is no reranker.
        RerankerUnavailable: some texts could not be graded.
    """
    _require_few([question, *texts])
    if isinstance(reranker, KeepOrder):
        raise ApplicationError(
            "there is no reranker",
            cause="rerank.kind is none",
            hint="Set RAG_APP_RERANK__KIND, for instance to cross-encoder",
        )
    nodes = [
        NodeWithScore(node=TextNode(id_=str(at), text=well_formed(text)), score=0.0)
        for at, text in enumerate(texts)
    ]
    reranked = await rerank(reranker, well_asked(question), nodes)
    scores = {one.node.node_id: one.score or 0.0 for one in reranked.nodes}
    if isinstance(reranker, Reranker):
        scores = dict(reranked.grades)
    if len(scores) < len(texts):
        raise RerankerUnavailable(
            f"{len(texts) - len(scores)} of {len(texts)} texts could not be graded",
            cause=str(reranked.notes.get("error", "")),
            hint="`rag-app doctor` tries the reranker",
        )
    best_first = sorted(scores.items(), key=lambda item: (-item[1], int(item[0])))
    return [Relevance(int(at), float(score)) for at, score in best_first]


def well_asked(question: str) -> str:
    """A question as models read it. Raises ApplicationError where it is empty or too long."""
    if not question.strip():
        raise ApplicationError("the question is empty", hint="Type a question")
    if len(question) > _LONGEST_QUESTION:
        raise ApplicationError(
            "the question is too long",
            cause=f"it has more than {_LONGEST_QUESTION:,} characters",
            hint="Ask for less at once",
        )
    return well_formed(question.strip())


def _require_few(texts: Sequence[str]) -> None:
    """Raise ApplicationError where these are more than one request should cost."""
    if len(texts) > _MOST_TEXTS or sum(map(len, texts)) > _MOST_CHARACTERS:
        raise ApplicationError(
            "these are too many texts for one request",
            cause=f"at most {_MOST_TEXTS:,}, with {_MOST_CHARACTERS:,} characters in all",
            hint="Send them in several requests",
        )
