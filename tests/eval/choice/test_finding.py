"""Passages are searched once a question, and those of several queries are dealt in turn."""

import asyncio

import pytest

from eval.choice.finding import Finder
from eval.errors import EvalError
from rag_app.service import QueryOptions
from tests.eval.choice.quiz import THINGS

BM25 = QueryOptions(retriever="bm25")


class Counting:
    """A service that counts its searches."""

    def __init__(self, service):
        self.service, self.searches = service, []

    async def search(self, collection, question, options):
        self.searches.append((question, options))
        return await self.service.search(collection, question, options)


def sources(found):
    return [one.node.metadata["source"] for one in found.passages]


async def test_one_query_gives_the_best_of_its_search(application, town):
    finder = Finder(application, town, passages=3, top_k=10, remembered=9)
    found = await finder.find(["the colour of the lantern"], BM25)
    whole = await application.search(town, "the colour of the lantern", BM25)
    assert [one.node.node_id for one in found.passages] == [h.passage_id for h in whole.hits[:3]]
    assert found.passages[0].score == whole.hits[0].score
    assert sources(found)[0] == "lantern.txt"


async def test_more_passages_than_a_search_usually_gives_are_asked_for(application, town):
    finder = Finder(application, town, passages=25, top_k=10, remembered=9)
    assert len((await finder.find(["town"], BM25)).passages) == 25


async def test_several_queries_are_dealt_in_turn_and_each_passage_once(application, town):
    queries = [f"{thing} in spring" for thing in THINGS[:3]]
    finder = Finder(application, town, passages=4, top_k=10, remembered=9)
    found = await finder.find(queries, BM25)
    assert sources(found)[:3] == [f"{thing}.txt" for thing in THINGS[:3]]
    expected = {}
    ranked = [(await application.search(town, query, BM25)).hits[:4] for query in queries]
    for rank in range(4):
        for hits in ranked:
            expected.setdefault(hits[rank].passage_id)
    assert [one.node.node_id for one in found.passages] == list(expected)


async def test_arms_that_want_the_same_share_one_search(application, town):
    counting = Counting(application)
    finder = Finder(counting, town, passages=3, top_k=10, remembered=2)
    both = await asyncio.gather(finder.find(["lantern"], BM25), finder.find(["lantern"], BM25))
    assert both[0] is both[1]
    await finder.find(["lantern"], QueryOptions(retriever="dense"))
    assert len(counting.searches) == 2
    await finder.find(["harbour"], BM25)
    await finder.find(["lantern"], BM25)
    assert len(counting.searches) == 4, "what is long ago is forgotten"


async def test_nothing_found_is_an_error(application, town):
    finder = Finder(application, town, passages=3, top_k=10, remembered=9)
    with pytest.raises(EvalError, match="no passages were found"):
        await finder.find(["xylophone"], BM25)


async def test_a_reranker_that_does_not_grade_is_an_error(application, town):
    down = QueryOptions(retriever="bm25", rerank="cross-encoder")  # nothing listens there
    assert (await application.search(town, "lantern", down)).hits, "good enough for people"
    finder = Finder(application, town, passages=3, top_k=10, remembered=9)
    with pytest.raises(EvalError, match=r"not searched as the arm says.*not graded"):
        await finder.find(["lantern"], down)


async def test_one_who_leaves_takes_nothing_from_those_who_stay(application, town):
    finder = Finder(application, town, passages=3, top_k=10, remembered=9)
    leaving = asyncio.create_task(finder.find(["lantern"], BM25))
    staying = asyncio.create_task(finder.find(["lantern"], BM25))
    await asyncio.sleep(0)
    leaving.cancel()
    assert sources(await staying)[0] == "lantern.txt"
    await finder.close()
