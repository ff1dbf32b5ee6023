"""Our readers as LlamaIndex's response synthesizers, such as `RetrieverQueryEngine` takes."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from llama_index.core.async_utils import asyncio_run
from llama_index.core.base.response.schema import RESPONSE_TYPE, Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import MockLLM
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from generation.reading import Reader, Reading


class ReaderSynthesizer(BaseSynthesizer):
    """Lets a reader answer where LlamaIndex wants a response synthesizer.

    The response's text is the reader's, with its citations ``[n]``; `source_nodes` are the passages
    as they were given, so that ``[n]`` is ``source_nodes[n - 1]``; `metadata` holds ``citations``
    and ``grounded`` of `generation.reading.Reading`. Neither a global language model nor any other
    of LlamaIndex's `Settings` is used.

    Args:
        reader: answers from passages.
    """

    def __init__(self, reader: Reader) -> None:
        # The base class would otherwise take the global model, which may be one that costs money.
        super().__init__(llm=MockLLM(), callback_manager=CallbackManager([]))
        self._reader = reader

    def synthesize(
        self,
        query: str | QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **_: Any,
    ) -> RESPONSE_TYPE:
        """Answer a question from passages, best first. Raises GenerationError."""
        answer: RESPONSE_TYPE = asyncio_run(self.asynthesize(query, nodes, additional_source_nodes))
        return answer

    async def asynthesize(
        self,
        query: str | QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **_: Any,
    ) -> RESPONSE_TYPE:
        """As `synthesize`."""
        question = query if isinstance(query, str) else query.query_str
        reading = await self._read(question, nodes)
        metadata = {
            "citations": [asdict(citation) for citation in reading.citations],
            "grounded": reading.grounded,
        }
        return Response(reading.text, [*nodes, *(additional_source_nodes or ())], metadata)

    def get_response(self, query_str: str, text_chunks: Sequence[str], **_: Any) -> str:
        """The text of an answer from bare texts."""
        text: str = asyncio_run(self.aget_response(query_str, text_chunks))
        return text

    async def aget_response(self, query_str: str, text_chunks: Sequence[str], **_: Any) -> str:
        """As `get_response`."""
        nodes = [NodeWithScore(node=TextNode(text=text)) for text in text_chunks]
        return (await self._read(query_str, nodes)).text

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        """A reader's prompts are its own."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    async def _read(self, question: str, nodes: Sequence[NodeWithScore]) -> Reading:
        reading = None
        async with aclosing(self._reader.read(question, nodes)) as events:
            async for event in events:
                reading = event if isinstance(event, Reading) else reading
        if reading is None:
            raise AssertionError("a reader ends with a Reading")
        return reading
