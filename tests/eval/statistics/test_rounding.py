"""Rounding keeps what matters and makes equal results equal bytes."""

import json

from eval.statistics.rounding import rounded


def test_small_p_values_do_not_become_zero() -> None:
    assert rounded({"p": 1.23456789e-9}) == {"p": 1.23457e-9}


def test_rounds_at_any_depth_and_leaves_all_else_alone() -> None:
    given = {"a": [0.123456789, 3, None, "x", True], "b": ({"c": 2 / 3},)}
    assert rounded(given) == {"a": [0.123457, 3, None, "x", True], "b": [{"c": 0.666667}]}


def test_zero_has_no_sign() -> None:
    assert json.dumps(rounded([-0.0, -1e-400])) == "[0.0, 0.0]"


def test_results_that_differ_by_the_order_of_summing_are_the_same_bytes() -> None:
    assert rounded(0.1 + 0.2 + 0.3) == rounded(0.3 + 0.2 + 0.1)
