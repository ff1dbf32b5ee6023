"""Samples come back from the log as they were."""

import json

import pytest

from eval.choice.records import is_correct, key, record_of, sample_of
from eval.choice.sample import ChoiceSample, Shown

SAMPLE = ChoiceSample(
    "rag", "q/1", 2, "tools", (2, 0, 1), 1, 1, "ok", "parsed", "text",
    (Shown("c1", "book", 0.5, "words"),), 1, True, 10, 5, 1e9, 3.25,
)  # fmt: skip


def test_a_sample_survives_json_and_what_is_added_to_it():
    kept = json.loads(json.dumps({**record_of(SAMPLE), "cached": True}))
    assert sample_of(kept) == SAMPLE
    assert kept["key"] == key("rag", "q/1", 2)


def test_keys_differ_by_arm_question_and_repeat():
    keys = {key(arm, q, n) for arm in ("rag", "rag#2") for q in ("1", "1/1") for n in (0, 1)}
    assert len(keys) == 8


@pytest.mark.parametrize(
    ("state", "chosen", "is_right"),
    [("ok", 1, True), ("ok", 0, False), ("truncated", 1, False), ("error", None, False)],
)
def test_a_record_is_right_as_its_sample_is(state, chosen, is_right):
    record = {**record_of(SAMPLE), "state": state, "chosen": chosen}
    assert is_correct(record) == sample_of(record).correct == is_right
