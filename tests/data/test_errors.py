"""How errors read."""

from data.errors import DataError, UnreadableFile


def test_message_cause_and_hint_are_one_line():
    error = UnreadableFile("cannot read a.pdf", cause="it is empty", hint="Add another")
    assert str(error) == "cannot read a.pdf: it is empty. Add another"
    assert isinstance(error, DataError)


def test_what_is_missing_leaves_no_punctuation():
    assert str(DataError("cannot find x")) == "cannot find x"
