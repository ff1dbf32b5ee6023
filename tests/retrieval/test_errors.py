"""Errors read as one line."""

import pytest

from retrieval.errors import FusionError, RetrievalError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RetrievalError("The index is gone"), "The index is gone"),
        (RetrievalError("No", cause="why"), "No: why"),
        (RetrievalError("No", hint="Do this"), "No. Do this"),
        (FusionError("No", cause="why", hint="Do this"), "No: why. Do this"),
    ],
)
def test_a_line_names_the_thing_the_reason_and_the_hint(error, line):
    assert str(error) == line
    assert isinstance(error, RetrievalError)
