"""What every reranker is: a LlamaIndex node postprocessor that also tells how it went."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import ClassVar

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle


@dataclass(frozen=True, slots=True)
class Reranked:
    """The outcome of one reranking.

    Attributes:
        nodes: the passages that were given, each once, best first, with falling final scores.
        notes: for the trace: how many passages fared how, and the first error.
        grades: what the reranker itself gave, by passage id; of those that it graded.
    """

    nodes: list[NodeWithScore]
    notes: Mapping[str, str | int | float] = field(default_factory=dict)
    grades: Mapping[str, float] = field(default_factory=dict)


class Reranker(BaseNodePostprocessor):
    """Puts found passages in a better order.

    It never loses or invents a passage, and a server that fails is no error: its passages keep the
    retriever's order, and the notes say so.
    """

    name: ClassVar[str]

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex knows it by."""
        return cls.__name__

    @abstractmethod
    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
        """The passages in a new order."""

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("a reranker needs the query")
        return (await self.rerank(query_bundle.query_str, nodes)).nodes

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        """Runs `rerank` on an event loop in a thread of its own: the caller may be inside of one.

        A client that keeps connections for one loop, as `OpenAILike` does unless `reuse_client` is
        off, serves one such call only.
        """
        with ThreadPoolExecutor(1) as thread:
            work = self._apostprocess_nodes(nodes, query_bundle)
            return thread.submit(copy_context().run, asyncio.run, work).result()
