import asyncio
import math
import threading
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeWithScore, TextNode

from retrieval.errors import RetrievalError
from retrieval.multi_query import find_all
from retrieval.retriever import PassageRetriever, Retrieval

COMBINES = st.sampled_from(["rrf", "sum"])
SCORES = st.floats(-5, 50).map(lambda score: round(score, 2))
LISTS = st.dictionaries(st.sampled_from("abcdefgh"), SCORES)
UNHURRIED = settings(deadline=None)  # each example searches in threads of its own
FOUND = st.dictionaries(st.sampled_from("qrstu"), LISTS, min_size=1)


class Table(PassageRetriever):
    """Finds for each query what a table says, best first."""

    def __init__(self, table: dict[str, dict[str, float]]) -> None:
        super().__init__()
        self.table = table
        self.searched: list[str] = []

    def find(self, query: str) -> Retrieval:
        self.searched.append(query)
        ranking = sorted(self.table[query].items(), key=lambda scored: (-scored[1], scored[0]))
        hits = [NodeWithScore(node=TextNode(id_=id_, text=id_), score=s) for id_, s in ranking]
        return Retrieval(hits, {"dense": ranking}, {"encode": 2.0, "dense": 1.0}, len(query))


def find(table: dict[str, dict[str, float]], combine: str, top_k: int = 10, queries=None):
    return asyncio.run(find_all(Table(table), list(queries or table), combine, top_k))


def scored(found: Retrieval) -> dict[str, float]:
    return {hit.node.node_id: hit.score for hit in found.hits}


@UNHURRIED
@given(LISTS, COMBINES)
def test_one_query_finds_what_the_retriever_finds(listed, combine):
    for queries in (["q"], ["q", "q"]):
        assert find({"q": listed}, combine, 1, queries) == Table({"q": listed}).find("q")


@UNHURRIED
@given(FOUND, COMBINES, st.integers(1, 10), st.randoms())
def test_the_order_of_the_queries_makes_no_difference(table, combine, top_k, random):
    shuffled = random.sample(list(table), len(table))
    found, again = (find(table, combine, top_k, queries) for queries in (table, shuffled))
    assert again.hits == found.hits
    assert again.rankings.get("combined") == found.rankings.get("combined")


@UNHURRIED
@given(FOUND.filter(lambda table: len(table) > 1), COMBINES, st.integers(1, 10))
def test_every_passage_is_ranked_once_and_the_best_are_hits(table, combine, top_k):
    found = find(table, combine, top_k)
    combined = found.rankings["combined"]
    chunks = [chunk for chunk, _ in combined]
    assert sorted(chunks) == sorted(set().union(*table.values()))
    assert combined == sorted(combined, key=lambda scored: (-scored[1], scored[0]))
    assert [(hit.node.node_id, hit.score) for hit in found.hits] == combined[:top_k]
    assert all(hit.node.get_content() == hit.node.node_id for hit in found.hits)


@UNHURRIED
@given(FOUND.filter(lambda table: len(table) > 1), COMBINES, st.integers(1, 10))
def test_what_is_ahead_in_every_list_is_ahead_in_the_end(table, combine, top_k):
    totals = dict(find(table, combine, top_k).rankings["combined"])
    for one, other in permutations(totals, 2):
        if all(
            one in listed and listed[one] > listed.get(other, -math.inf)
            for listed in table.values()
        ):
            assert totals[one] >= totals[other]


def test_ranks_are_credited_as_published():
    found = find({"q": {"a": 9.0, "b": 1.0}, "r": {"b": 0.5, "c": 0.4}}, "rrf")
    expected = {"b": 1 / 62 + 1 / 61, "a": 1 / 61, "c": 1 / 62}
    assert list(scored(found)) == ["b", "a", "c"]
    assert scored(found) == pytest.approx(expected)


def test_scores_add_up_with_the_last_of_a_full_list_for_what_it_lacks():
    table = {"q": {"a": 0.9, "b": 0.6}, "r": {"b": 0.8, "c": 0.3}}
    assert scored(find(table, "sum", 2)) == pytest.approx({"b": 1.4, "a": 1.2})
    assert dict(find(table, "sum", 2).rankings["combined"])["c"] == pytest.approx(0.9)


def test_a_list_that_was_not_cut_off_gives_nothing_to_what_it_lacks():
    found = find({"q": {"a": 9.0, "b": 6.0, "d": 5.0}, "r": {"c": 12.0}, "s": {}}, "sum", 3)
    assert scored(found) == pytest.approx({"c": 17.0, "a": 9.0, "b": 6.0})
    below = find({"q": {"a": -1.0, "b": -2.0}, "r": {"c": -3.0}}, "sum", 9)
    assert scored(below) == pytest.approx({"a": -4.0, "b": -5.0, "c": -5.0})


def test_queries_that_are_joined_are_searched_as_one():
    table = Table({"q\n\nlong": {"a": 0.9}})
    found = asyncio.run(find_all(table, ["q", "long", "q"], "join", 5))
    assert table.searched == ["q\n\nlong"]
    assert found == table.find("q\n\nlong")


def test_the_first_query_is_traced_and_the_cost_of_all_added_up():
    found = find({"q": {"a": 0.9}, "long": {"b": 0.8}}, "rrf", queries=["q", "long", "q"])
    assert found.rankings.keys() == {"dense", "combined"}
    assert found.rankings["dense"] == [("a", 0.9)]
    assert found.milliseconds == {"encode": 4.0, "dense": 2.0}
    assert found.query_tokens == len("q") + len("long")


async def test_queries_are_searched_at_the_same_time():
    class Meets(Table):
        def find(self, query: str) -> Retrieval:
            both.wait(timeout=10)
            return super().find(query)

    both = threading.Barrier(2)
    found = await find_all(Meets({"q": {"a": 1.0}, "r": {"b": 1.0}}), ["q", "r"], "sum", 5)
    assert len(found.hits) == 2


async def test_a_search_that_fails_is_raised_when_no_other_is_under_way():
    class Fails(Table):
        def find(self, query: str) -> Retrieval:
            if query == "bad":
                raise RetrievalError("the index is away")
            failed.wait(timeout=0.2)
            return super().find(query)

    failed = threading.Event()
    retriever = Fails({"q": {"a": 1.0}})
    with pytest.raises(RetrievalError, match="the index is away"):
        await find_all(retriever, ["bad", "q"], "rrf", 5)
    assert retriever.searched == ["q"]


@pytest.mark.parametrize(
    ("queries", "combine", "top_k"), [([], "rrf", 5), (["q"], "max", 5), (["q"], "sum", 0)]
)
async def test_what_makes_no_sense_is_refused(queries, combine, top_k):
    with pytest.raises(ValueError, match=r"query|combine|top_k"):
        await find_all(Table({"q": {}}), queries, combine, top_k)
