"""Which questions are asked depends on the seed alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.choice.plan import ChoicePlan, select
from eval.datasets.choice import Question
from eval.errors import EvalError

QUESTIONS = [Question(str(n), "?", ("a", "b"), 0, f"subject {n // 100}") for n in range(500)]


def test_a_plan_comes_back_from_json():
    plan = ChoicePlan(
        "mmlu", "closed_book,rag", ("a", "b"), 1, 2, 3, "d", limit=7, collection="c",
        data_dir="e", concurrency=8, max_errors=0.1,
    )  # fmt: skip
    kept = json.loads(json.dumps(plan.as_dict()))
    assert ChoicePlan.of(kept) == plan
    assert kept["questions"] == "the first 7 by sha256 of seed and id"
    assert ChoicePlan("mmlu", "rag").as_dict()["questions"] == "all"


@pytest.mark.parametrize("kept", [{}, {"subjects": []}, {"subjects": [], "more": 1}])
def test_what_is_no_plan_is_refused(kept):
    with pytest.raises(EvalError, match="plan is damaged"):
        ChoicePlan.of(kept)


@given(st.permutations(QUESTIONS[:30]), st.integers(1, 30), st.integers())
def test_a_limit_asks_the_same_questions_in_whatever_order_they_come(shuffled, limit, seed):
    chosen = select(shuffled, limit, seed)
    assert len(chosen) == limit
    assert chosen == select(QUESTIONS[:30], None, seed)[:limit]


def test_a_limit_mixes_subjects_and_follows_the_seed():
    chosen = select(QUESTIONS, 100, 0)
    counts = [sum(q.subject == f"subject {n}" for q in chosen) for n in range(5)]
    assert min(counts) > 8
    assert chosen != select(QUESTIONS, 100, 1)


def test_no_questions_are_refused():
    with pytest.raises(EvalError, match="no question is left"):
        select([], None, 0)
