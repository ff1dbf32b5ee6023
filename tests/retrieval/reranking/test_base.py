from contextvars import ContextVar
from typing import ClassVar

import pytest
from llama_index.core.schema import QueryBundle

from retrieval.reranking.base import Reranked, Reranker
from tests.retrieval.reranking.scripted import ids, passages

WHO = ContextVar("WHO", default="nobody")


class LongestFirst(Reranker):
    name: ClassVar[str] = "longest"

    async def rerank(self, query, nodes):
        ranked = sorted(nodes, key=lambda found: -len(found.node.text))
        return Reranked(ranked, {"query": query, "who": WHO.get()})


class Note(LongestFirst):
    async def rerank(self, query, nodes):
        reranked = await super().rerank(query, nodes)
        reranked.nodes[0].node.metadata["notes"] = reranked.notes
        return reranked


async def test_llamaindex_can_use_it_on_an_event_loop():
    nodes = passages(["a", "aaa", "aa"])
    ranked = await LongestFirst().apostprocess_nodes(nodes, QueryBundle("q"))
    assert ids(ranked) == ["p1", "p2", "p0"]


def test_llamaindex_can_use_it_without_one():
    ranked = LongestFirst().postprocess_nodes(passages(["a", "aa"]), query_str="q")
    assert ids(ranked) == ["p1", "p0"]


async def test_the_blocking_way_works_inside_a_loop_and_keeps_the_context():
    WHO.set("somebody")
    ranked = Note().postprocess_nodes(passages(["a", "aa"]), query_str="q")
    assert ranked[0].node.metadata["notes"] == {"query": "q", "who": "somebody"}


async def test_a_query_is_needed():
    with pytest.raises(ValueError, match="query"):
        await LongestFirst().apostprocess_nodes(passages(["a"]))
