import asyncio
import time
from collections.abc import Sequence

import pytest
from llama_index.core.schema import NodeWithScore, TextNode

from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker
from tests.retrieval.reranking.scripted import ids, passages


class ByScript(PointwiseReranker):
    """A passage says what happens to it: a grade, `hang`, `fail`, or a status."""

    name = "script"

    def __init__(self, batch=1, **more):
        settings = {"weight": 1.0, "normalise": "none", "concurrency": 4, "deadline": 5.0}
        super().__init__(Grading(**{**settings, **more}))
        self._batch = batch
        self._seen, self._now, self._most, self._cancelled = [], 0, 0, 0

    _seen: list[list[str]]
    _now: int
    _most: int
    _cancelled: int

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        self._seen.append(list(passages))
        self._now += 1
        self._most = max(self._most, self._now)
        try:
            return [await self._one(text) for text in passages]
        except asyncio.CancelledError:
            self._cancelled += 1
            raise
        finally:
            self._now -= 1

    async def _one(self, text: str) -> Graded:
        await asyncio.sleep(0.001)
        match text:
            case "hang":
                await asyncio.sleep(60)
            case "fail":
                raise ValueError("half a JSON")
            case "bug":
                raise KeyError("a fault in the program")
            case "wrong_format" | "missing":
                return Graded(None, text)
        return Graded(float(text), "ok")


COUNTED = {"ok": 0, "wrong_format": 0, "missing": 0, "failed": 0, "skipped": 0, "timeout": 0}


async def test_the_best_grade_is_first_and_ties_keep_their_order():
    reranked = await ByScript().rerank("q", passages(["0.2", "0.8", "0.2", "0.8"]))
    assert ids(reranked.nodes) == ["p1", "p3", "p0", "p2"]
    assert [found.score for found in reranked.nodes] == [0.8, 0.8, 0.2, 0.2]
    assert reranked.notes == {**COUNTED, "ok": 4, "cut": 0}


async def test_given_passages_are_not_changed():
    nodes = passages(["0.2", "0.8"])
    before = [(found.node.text, found.score) for found in nodes]
    await ByScript().rerank("q", nodes)
    assert [(found.node.text, found.score) for found in nodes] == before


async def test_no_passages_are_no_work():
    reranker = ByScript()
    assert (await reranker.rerank("q", [])).nodes == []
    assert reranker._seen == []


async def test_every_passage_is_counted_and_kept_whatever_happens_to_it():
    texts = ["1", "fail", "wrong_format", "missing", "hang", "0"]
    reranked = await ByScript(deadline=0.2).rerank("q", passages(texts))
    assert sorted(ids(reranked.nodes)) == [f"p{at}" for at in range(6)]
    assert reranked.notes == {
        **COUNTED, "ok": 2, "failed": 1, "wrong_format": 1, "missing": 1, "timeout": 1,
        "cut": 0, "error": "half a JSON",
    }  # fmt: skip
    assert ids(reranked.nodes) == ["p0", "p1", "p2", "p3", "p4", "p5"]  # the mean is between


async def test_the_deadline_holds_for_all_and_keeps_what_there_is():
    texts = ["0.1", "0.9", *["hang"] * 50]
    reranker = ByScript(deadline=0.3)
    start = time.monotonic()
    reranked = await reranker.rerank("q", passages(texts))
    assert time.monotonic() - start < 25
    assert reranked.notes["ok"] == 2
    assert reranked.notes["timeout"] == 50
    assert reranked.notes["error"] == "not done within 0.3 s"
    assert ids(reranked.nodes)[0] == "p1"
    assert (reranker._cancelled, reranker._now) == (4, 0)


async def test_no_more_calls_than_allowed_are_under_way():
    reranker = ByScript(concurrency=3)
    await reranker.rerank("q", passages(["0.5"] * 20))
    assert reranker._most == 3


async def test_a_server_that_only_fails_is_left_alone():
    reranker = ByScript()
    reranked = await reranker.rerank("q", passages(["fail"] * 100))
    assert 8 <= len(reranker._seen) <= 8 + 4
    assert reranked.notes["failed"] == len(reranker._seen)
    assert reranked.notes["failed"] + reranked.notes["skipped"] == 100
    assert ids(reranked.nodes) == [f"p{at}" for at in range(100)]


async def test_a_server_that_sometimes_fails_is_asked_on():
    reranked = await ByScript().rerank("q", passages(["fail", "fail", "0.5"] * 20))
    assert (reranked.notes["failed"], reranked.notes["ok"]) == (40, 20)


async def test_cancelling_cancels_the_calls():
    reranker = ByScript()
    task = asyncio.create_task(reranker.rerank("q", passages(["hang"] * 9)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (reranker._cancelled, reranker._now) == (4, 0)


async def test_a_fault_in_the_program_is_not_taken_for_the_servers():
    with pytest.raises(ExceptionGroup) as raised:
        await ByScript().rerank("q", passages(["0.5", "bug"]))
    assert raised.group_contains(KeyError)


async def test_batches_hold_neighbours():
    reranker = ByScript(batch=2)
    reranked = await reranker.rerank("q", passages(["0.1", "0.2", "fail", "0.4", "0.5"]))
    assert reranker._seen == [["0.1", "0.2"], ["fail", "0.4"], ["0.5"]]
    assert (reranked.notes["ok"], reranked.notes["failed"]) == (3, 2)


async def test_long_passages_are_cut_and_counted():
    reranker = ByScript(passage_tokens=2, count_tokens=len)
    reranked = await reranker.rerank("q", passages(["1", "0 and more"]))
    assert reranker._seen == [["1"], ["0"]]
    assert reranked.notes["cut"] == 1
    assert reranked.nodes[1].node.text == "0 and more"


async def test_headings_are_graded_with_the_text():
    node = TextNode(text="wrong_format", metadata={"headings": []})
    titled = TextNode(text="5", metadata={"headings": ["0.7", "is no number"]})
    reranker = ByScript()
    await reranker.rerank("q", [NodeWithScore(node=each, score=1.0) for each in (node, titled)])
    assert reranker._seen == [["wrong_format"], ["0.7 is no number 5"]]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("weight", 1.1), ("weight", -0.1), ("normalise", "zscore"), ("passage_tokens", 0),
        ("concurrency", 0), ("deadline", 0), ("deadline", float("nan")),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(argument, value):
    with pytest.raises(ValueError, match=argument):
        ByScript(**{argument: value})
