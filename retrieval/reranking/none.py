"""No reranking, as an object, so that leaving the stage out is a setting like any other."""

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle


class KeepOrder(BaseNodePostprocessor):
    """Returns the passages as they come."""

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex knows it by."""
        return "KeepOrder"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002 - LlamaIndex's interface
    ) -> list[NodeWithScore]:
        return nodes

    async def _apostprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002 - LlamaIndex's interface
    ) -> list[NodeWithScore]:
        return nodes  # LlamaIndex's own would go through a thread
