"""Runs are judged as their data set says: documents, not passages, and none that it excludes."""

from pathlib import Path

import pytest

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.scoring import METRICS, documents, score


def dataset(**fields):
    usual = {
        "name": "beir:cats",
        "corpus": Path("corpus.jsonl"),
        "queries": {"q": "?", "r": "??"},
        "qrels": {"q": {"a": 1, "b": 0}, "r": {"b": 2}},
        "revision": "0",
    }
    return RetrievalDataset(**{**usual, **fields})


def test_means_are_over_the_queries_of_the_data_set():
    scores = score({"q": {"a": 2.0, "x": 1.0}, "foreign": {"a": 1.0}}, dataset())
    assert scores.means == {"ndcg@10": 0.5, "recall@100": 0.5, "mrr@10": 0.5, "judged@10": 0.25}
    assert scores.per_query["judged@10"] == {"q": 0.5, "r": 0.0}
    assert scores.absent == ("r",)
    assert scores.foreign == ("foreign",)
    assert set(scores.means) == set(METRICS)


def test_excluded_documents_are_taken_out_before_ranks_are_counted():
    run = {"q": {"x": 3.0, "a": 2.0}}
    assert score(run, dataset()).per_query["mrr@10"]["q"] == 0.5
    excluding = dataset(excluded={"q": frozenset({"x"})})
    assert score(run, excluding).per_query["mrr@10"]["q"] == 1.0
    assert documents({"x": 1.0}, "r", excluding) == {"x": 1.0}


def test_passages_count_as_their_document_with_the_best_score():
    books = dataset(parents={"a:0": "a", "a:1": "a", "x:0": "x"})
    hits = {"x:0": 5.0, "a:1": 1.0, "a:0": 4.0, "b": 2.0}
    assert documents(hits, "q", books) == {"x": 5.0, "a": 4.0, "b": 2.0}
    assert score({"q": hits}, books).per_query["mrr@10"]["q"] == 0.5


def test_excluding_a_document_takes_its_passages_out():
    books = dataset(parents={"a:0": "a"}, excluded={"q": frozenset({"a"})})
    assert documents({"a:0": 1.0, "b": 0.5}, "q", books) == {"b": 0.5}


def test_a_run_of_other_queries_is_refused():
    with pytest.raises(EvalError, match=r"nothing for any query of beir:cats: .*'zebra'.*'q'"):
        score({"zebra": {"a": 1.0}}, dataset())
