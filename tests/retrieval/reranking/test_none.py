from llama_index.core.schema import QueryBundle

from retrieval.reranking.none import KeepOrder
from tests.retrieval.reranking.scripted import passages


async def test_passages_stay_as_they_are():
    nodes = passages(["one", "two"], [None, 7.0])
    reranked = await KeepOrder().rerank("a query", nodes)
    assert reranked.nodes == nodes
    assert reranked.nodes is not nodes
    assert dict(reranked.notes) == {}


async def test_it_is_a_llamaindex_postprocessor_that_needs_no_query():
    nodes = passages(["one", "two"])
    assert await KeepOrder().apostprocess_nodes(nodes) == nodes
    assert KeepOrder().postprocess_nodes(nodes, QueryBundle("a query")) == nodes
    assert KeepOrder.class_name() == "KeepOrder"
