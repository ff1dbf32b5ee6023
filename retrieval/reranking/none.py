"""No reranking, as an object, so that leaving the stage out is a setting like any other."""

from collections.abc import Sequence
from typing import ClassVar

from llama_index.core.schema import NodeWithScore, QueryBundle

from retrieval.reranking.base import Reranked, Reranker


class KeepOrder(Reranker):
    """Returns the passages as they come."""

    name: ClassVar[str] = "none"

    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:  # noqa: ARG002
        """See `Reranker.rerank`."""
        return Reranked(list(nodes))

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002 - no query is needed here
    ) -> list[NodeWithScore]:
        return nodes

    async def _apostprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002 - no query is needed here
    ) -> list[NodeWithScore]:
        return nodes
