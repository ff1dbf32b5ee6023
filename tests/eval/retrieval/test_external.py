"""Runs of other programs are judged as their data set says: by documents, none of them excluded."""

from pathlib import Path

from eval.datasets.retrieval import RetrievalDataset
from eval.retrieval.external import documents


def dataset(**fields):
    usual = {
        "name": "beir:cats",
        "corpus": Path("corpus.jsonl"),
        "queries": {"q": "?", "r": "??"},
        "qrels": {"q": {"a": 1, "b": 0}, "r": {"b": 2}},
        "revision": "0",
    }
    return RetrievalDataset(**{**usual, **fields})


def test_excluded_documents_are_taken_out():
    excluding = dataset(excluded={"q": frozenset({"x"})})
    assert documents({"x": 3.0, "a": 2.0}, "q", excluding) == {"a": 2.0}
    assert documents({"x": 1.0}, "r", excluding) == {"x": 1.0}


def test_passages_count_as_their_document_with_the_best_score():
    books = dataset(parents={"a:0": "a", "a:1": "a", "x:0": "x"})
    hits = {"x:0": 5.0, "a:1": 1.0, "a:0": 4.0, "b": 2.0}
    assert documents(hits, "q", books) == {"x": 5.0, "a": 4.0, "b": 2.0}


def test_excluding_a_document_takes_its_passages_out():
    books = dataset(parents={"a:0": "a"}, excluded={"q": frozenset({"a"})})
    assert documents({"a:0": 1.0, "b": 0.5}, "q", books) == {"b": 0.5}
