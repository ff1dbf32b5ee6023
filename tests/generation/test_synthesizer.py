"""Our readers behind LlamaIndex's stock query engine."""

import pytest
from llama_index.core import Settings
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from generation.quoting import QuotingReader
from generation.synthesizer import ReaderSynthesizer

TEXT = "The blue pump is drained every spring."


class Fixed(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=TEXT), score=1.0)]


@pytest.fixture
def engine() -> RetrieverQueryEngine:
    return RetrieverQueryEngine(Fixed(), ReaderSynthesizer(QuotingReader()))


def check(answer) -> None:
    assert TEXT.removesuffix(".") in str(answer)
    assert "[1]" in str(answer)
    assert answer.source_nodes[0].text == TEXT
    (citation,) = answer.metadata["citations"]
    assert (citation["n"], citation["text"]) == (1, TEXT)


def test_a_stock_query_engine_gives_the_readers_answer(engine):
    check(engine.query("When is the blue pump drained?"))


async def test_it_does_so_in_an_event_loop_as_well(engine):
    check(await engine.aquery("When is the blue pump drained?"))
    assert "[1]" in ReaderSynthesizer(QuotingReader()).get_response("blue pump?", [TEXT])


def test_no_global_model_is_made(engine):
    engine.query("When is the blue pump drained?")
    assert Settings._llm is None
