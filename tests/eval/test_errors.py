"""Errors read as one line."""

import pytest

from eval.errors import DatasetError, EvalError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (EvalError("The index is gone"), "The index is gone"),
        (EvalError("No", cause="why"), "No: why"),
        (EvalError("No", hint="Do this"), "No. Do this"),
        (DatasetError("No", cause="why", hint="Do this"), "No: why. Do this"),
    ],
)
def test_a_line_names_the_thing_the_reason_and_the_hint(error, line):
    assert str(error) == line
    assert isinstance(error, EvalError)
