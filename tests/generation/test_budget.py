from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.utils import get_tokenizer

from generation.budget import TokenBudget, estimate_tokens
from generation.errors import QuestionTooLong
from generation.prompts import build_messages, new_tag
from tests.generation.support import passage

REPOSITORY = Path(__file__).resolve().parents[2]


def words(text: str) -> int:
    return len(text.split())


LENGTHS = st.lists(st.integers(1, 400), max_size=8)


@given(LENGTHS, st.integers(700, 2000), st.sampled_from([words, estimate_tokens]))
def test_what_is_sent_fits_the_window_with_room_for_the_answer(lengths, window, count):
    budget = TokenBudget(window, 100, count, margin=0.0)
    passages, tag = [passage("word " * length) for length in lengths], new_tag()
    used = budget.fit("Why is it so?", passages, tag=tag)
    sent = budget.count_messages(build_messages("Why is it so?", used, tag=tag))
    assert sent + 100 <= window


@given(LENGTHS)
def test_passages_stay_whole_and_in_order(lengths):
    passages = [passage("word " * length) for length in lengths]
    used = TokenBudget(1200, 100, words).fit("Why?", passages)
    positions = [passages.index(p) for p in used]
    assert positions == sorted(set(positions))


def test_a_passage_that_does_not_fit_makes_room_for_a_shorter_one():
    first, huge, last = passage("a " * 50), passage("b " * 5000), passage("c " * 50)
    assert TokenBudget(1000, 100, words).fit("Why?", [first, huge, last]) == [first, last]


def test_everything_fits_a_large_window():
    passages = [passage("word " * 100) for _ in range(20)]
    assert TokenBudget(32_000, 500).fit("Why?", passages) == passages


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


@pytest.mark.parametrize(
    "path", ["generation/budget.py", "generation/prompts.py", "pyproject.toml"]
)
def test_the_estimate_is_somewhat_above_a_real_tokenisers_count(path):
    # the encoding cl100k comes with llama-index-core; nothing is downloaded
    tokens = len(get_tokenizer()((REPOSITORY / path).read_text(encoding="utf-8")))
    estimate = estimate_tokens((REPOSITORY / path).read_text(encoding="utf-8"))
    assert tokens <= estimate <= 2 * tokens


def test_the_estimate_takes_any_text():
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800 你好") > 0
