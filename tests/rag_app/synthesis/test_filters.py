from collections import Counter

import pytest

from rag_app.synthesis.filters import distinct, overlap, uncontaminated
from retrieval.analysis import Analyzer
from retrieval.training.examples import Example


def made(*queries):
    return [Example(query=query, pos=["the otter builds its holt"]) for query in queries]


def test_queries_that_differ_in_case_and_points_alone_are_doubles():
    dropped = Counter()
    kept = list(distinct(made("What is a holt?", "what is a HOLT", "What is an otter?"), dropped))
    assert [one.query for one in kept] == ["What is a holt?", "What is an otter?"]
    assert dropped == {"duplicate": 1}


def test_what_an_evaluation_asks_is_left_out_in_part_or_as_a_whole():
    asked = ["Where did the old crew keep the spare pump in the winter of 1931?", "What is a holt?"]
    dropped = Counter()
    queries = (
        "They wondered: did the old crew keep the spare pump in the shed?",
        "what is a holt",
        "Where did the new crew keep the spare boat in the winter?",
    )
    kept = list(uncontaminated(made(*queries), asked, dropped))
    assert [one.query for one in kept] == [queries[2]]
    assert dropped == {"contaminated": 2}


@pytest.mark.parametrize(("query", "share"), [("otter holt", 1.0), ("otter den", 0.5), ("?", 0.0)])
def test_overlap_is_the_share_of_the_querys_terms(query, share):
    assert overlap(made(query)[0], Analyzer("none")) == share
