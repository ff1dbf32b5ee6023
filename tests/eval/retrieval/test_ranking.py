"""Hits as a ranking of documents."""

from hypothesis import given
from hypothesis import strategies as some

from eval.retrieval.ranking import by_passage, hits_wanted, ranking
from eval.runs.collections import degraded
from rag_app.results import Hit, Trace


def hit(passage: str | None, score: float = 1.0, start: int = 0, page: int | None = None) -> Hit:
    return Hit("corpus.jsonl", "corpus.jsonl", page, start, start + 5, "text", score, {}, {}, (),
               passage)  # fmt: skip


def test_a_hit_counts_as_its_passage_its_document_or_its_place() -> None:
    named = by_passage({"m1:0": "m1"})
    assert named("q", hit("m1:0")) == "m1"
    assert named("q", hit("other")) == "other"
    assert named("q", hit(None, start=7)) == "corpus.jsonl#:7"
    assert named("q", hit(None, page=2)) == "corpus.jsonl#2:0"


def test_a_document_has_the_score_and_place_of_its_best_passage() -> None:
    hits = [hit("a:1", 5), hit("b:1", 4), hit("a:0", 3), hit("c:0", 2)]
    found = ranking(hits, lambda one: str(one.record_id)[0], (), 10)
    assert found == [("a", 5), ("b", 4), ("c", 2)]


@given(some.lists(some.integers(0, 20)), some.sets(some.integers(0, 20)), some.integers(1, 8))
def test_excluded_documents_leave_room_for_those_below(found, excluded, depth) -> None:
    hits = [hit(str(number), -at) for at, number in enumerate(found)]
    out = {str(number) for number in excluded}
    kept = [document for document, _ in ranking(hits, lambda h: str(h.record_id), out, depth)]
    assert kept == [d for d in dict.fromkeys(map(str, found)) if d not in out][:depth]


def test_as_many_hits_are_asked_for_as_documents_should_be_left() -> None:
    assert hits_wanted(100, 7, None) == 107
    assert hits_wanted(100, 5, graded=20) == 25
    assert hits_wanted(100, 2000, None) == 1000


def test_a_pipeline_that_left_a_stage_away_is_told_from_one_that_did_not() -> None:
    good = Trace()
    good.stage("rewrite", "llm", 1.0, rewrites=1, cached=0)
    good.stage("rerank", "qwen", 1.0, ok=9, wrong_format=1, missing=0, failed=0, timeout=0)
    assert degraded(good) == ""
    for name, notes in (
        ("rewrite", {"fallback": "no answer in time"}),
        ("rewrite", {"rewrites": 1, "failed": 1, "error": "HTTP 500"}),
        ("rerank", {"ok": 9, "failed": 1, "error": "HTTP 500"}),
        ("rerank", {"ok": 0, "skipped": 3, "timeout": 7, "error": "not done within 1 s"}),
    ):
        bad = Trace()
        bad.stage(name, "llm", 1.0, **notes)
        assert str(notes.get("error") or notes["fallback"]) in degraded(bad)
