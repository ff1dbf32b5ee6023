import pytest

from generation.errors import GenerationError, QuestionTooLong, ReaderUnavailable


def test_message_cause_and_hint_make_one_line():
    error = GenerationError("The model is down", cause="refused", hint="Start it.")
    assert str(error) == "The model is down: refused. Start it."


def test_missing_parts_leave_no_punctuation_behind():
    assert str(GenerationError("The model is down")) == "The model is down"
    assert str(GenerationError("It is down.", hint="Start it.")) == "It is down. Start it."


@pytest.mark.parametrize("kind", [QuestionTooLong, ReaderUnavailable])
def test_every_error_is_caught_by_its_base(kind):
    with pytest.raises(GenerationError):
        raise kind("no")
