from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import NodeWithScore

from data.tokens import estimate_tokens
from generation.budget import TokenBudget
from generation.errors import QuestionTooLong
from generation.prompts import build_messages, new_tag
from tests.generation.support import passage


def words(text: str) -> int:
    return len(text.split())


def distinct(lengths: Sequence[int]) -> list[NodeWithScore]:
    """Passages of so many words, none of which is in another."""
    return [passage(f"word{i} " * length) for i, length in enumerate(lengths)]


LENGTHS = st.lists(st.integers(1, 400), max_size=8)


@given(LENGTHS, st.integers(700, 2000), st.sampled_from([words, estimate_tokens]))
def test_what_is_sent_fits_the_window_with_room_for_the_answer(lengths, window, count):
    budget = TokenBudget(window, 100, count, margin=0.0)
    passages, tag = distinct(lengths), new_tag()
    used = budget.fit("Why is it so?", passages, tag=tag)
    sent = budget.count_messages(build_messages("Why is it so?", used, tag=tag))
    assert sent + 100 <= window


@given(LENGTHS)
def test_passages_stay_whole_and_in_order(lengths):
    passages = distinct(lengths)
    used = TokenBudget(1200, 100, words).fit("Why?", passages)
    assert list(used) == sorted(used)
    assert all(passages[n - 1] is found for n, found in used.items())


def test_a_passage_that_does_not_fit_makes_room_for_a_shorter_one():
    first, huge, last = passage("a " * 50), passage("b " * 5000), passage("c " * 50)
    assert TokenBudget(1000, 100, words).fit("Why?", [first, huge, last]) == {1: first, 3: last}


def test_everything_fits_a_large_window():
    passages = distinct([100] * 20)
    assert [*TokenBudget(32_000, 500).fit("Why?", passages).values()] == passages


def fitted(*texts: str, window: int = 1000) -> list[int]:
    """The numbers of the passages that are sent, in order."""
    return [*TokenBudget(window, 100, words).fit("Why?", [passage(text) for text in texts])]


def test_the_same_text_is_sent_once():
    assert fitted("Dough rests.", "Salt.", "dough\n rests.", "Salt.") == [1, 2]


def test_a_passage_inside_a_better_one_is_left_out():
    assert fitted("Salt. Dough rests an hour.", "Yeast.", "dough rests") == [1, 2]


def test_a_passage_around_better_ones_takes_the_place_of_the_best():
    texts = "Yeast.", "Dough rests.", "Oil.", "an hour.", "Dough rests. In an hour."
    assert fitted(*texts) == [1, 5, 3]


def test_a_passage_around_a_better_one_that_does_not_fit_leaves_it_there():
    assert fitted("Dough rests.", "Dough rests. " + "a " * 5000) == [1]


def test_parts_of_words_are_not_inside():
    assert fitted("In 2012 it was a party.", "12", "art") == [1, 2, 3]


@given(st.lists(st.lists(st.sampled_from("ab c"), min_size=1, max_size=6).map("".join), max_size=8))
def test_nothing_that_fits_is_lost_and_nothing_sent_twice(texts):
    sent = [f" {' '.join(texts[n - 1].split())} " for n in fitted(*texts, window=4000)]
    assert all(any(f" {' '.join(text.split())} " in one for one in sent) for text in texts)
    assert not any(a in b for i, a in enumerate(sent) for j, b in enumerate(sent) if i != j)


@pytest.mark.parametrize("passages", [[], [passage("short")]])
def test_a_question_that_does_not_fit_is_an_error_that_names_the_numbers(passages):
    with pytest.raises(QuestionTooLong, match=r"5000 tokens.*\b850\b.*\b1000\b.*\b100\b"):
        TokenBudget(1000, 100, words).fit("why " * 5000, passages)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"context_window": 100, "max_answer_tokens": 100}, "no room"),
        ({"context_window": 100, "max_answer_tokens": 0}, "max_answer_tokens"),
        ({"context_window": 100, "max_answer_tokens": 5, "margin": 1.0}, "margin"),
    ],
)
def test_impossible_budgets_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        TokenBudget(**arguments)
