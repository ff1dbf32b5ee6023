import asyncio
from string import ascii_uppercase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.choosing import Chooser
from generation.option_evidence import CLOSED, NAMES
from generation.option_scoring import WEIGHTS, ScoringChooser
from tests.generation.support import passage
from tests.generation.test_quoting import bag

QUESTION = "Which organelle makes most of the energy of a cell?"
CHOICES = ["nucleus", "mitochondrion", "ribosome", "vacuole"]
ENERGY = passage("Cells need fuel. The mitochondrion makes most of the energy of a cell.")
NUCLEUS = passage("The nucleus keeps the plan of the cell. It has pores.", "nucleus.txt")
BREAD = passage("Bread is baked at 230 degrees. Let the dough rest for an hour.", "bread.txt")


def chooser(**given):
    return ScoringChooser(bag, encoder="toy", **given)


def test_it_is_a_chooser():
    assert isinstance(chooser(), Chooser)


@pytest.mark.parametrize("passages", [[ENERGY], [BREAD, NUCLEUS, ENERGY], [ENERGY] * 3])
async def test_the_passage_that_states_the_answer_wins(passages):
    chosen = await chooser().choose(QUESTION, CHOICES, passages)
    assert (chosen.letter, chosen.index, chosen.state) == ("B", 1, "scored")
    number = next(n for n, one in enumerate(passages, start=1) if one is ENERGY)
    assert chosen.text.endswith(f"makes most of the energy of a cell. [{number}]")
    assert (chosen.passages_used, chosen.passages_given) == (len(passages), len(passages))
    assert (chosen.prompt_tokens, chosen.completion_tokens, chosen.truncated) == (0, 0, False)


async def test_it_is_the_passage_that_decides():
    said = {
        organelle: passage(f"The {organelle} makes most of the energy of a cell.")
        for organelle in CHOICES
    }
    for n, organelle in enumerate(CHOICES):
        chosen = await chooser().choose(QUESTION, CHOICES, [said[organelle], BREAD])
        assert chosen.index == n


async def test_a_negated_question_avoids_what_a_passage_states():
    chosen = await chooser().choose(
        "Which of the following is NOT a part of the eye?",
        ["cornea", "cochlea"],
        [passage("The cornea is a part of the eye.")],
    )
    assert chosen.index == 1


async def test_with_a_closed_book_it_goes_by_the_choices_alone():
    closed = await chooser().choose(QUESTION, CHOICES)
    assert (closed.text, closed.passages_used, closed.passages_given) == ("", 0, 0)
    moved = {name: w if n < CLOSED else -w for n, (name, w) in enumerate(WEIGHTS.items())}
    assert list(WEIGHTS) == list(NAMES)
    assert await chooser(weights=moved).choose(QUESTION, CHOICES) == closed


words = st.sampled_from(
    ["cell", "energy", "nucleus", "bread", "not", "which", "all of the above", "_____", "7", "ÆØ",
     "細胞", ".", "?", "\n"]
)  # fmt: skip
texts = st.lists(words, max_size=8).map(" ".join)


@given(
    texts,
    st.lists(texts, min_size=2, max_size=6, unique=True),
    st.lists(texts, max_size=5),
    st.randoms(use_true_random=False),
)
async def test_the_order_of_choices_and_of_passages_changes_nothing(
    question, choices, read, random
):
    passages = [passage(text) for text in read]
    one = await chooser().choose(question, choices, passages)
    shuffled = random.sample(choices, len(choices))
    other = await chooser().choose(question, shuffled, random.sample(passages, len(passages)))
    assert choices[one.index] == shuffled[other.index]
    assert ascii_uppercase[other.index] == other.letter


@pytest.mark.parametrize("count", [2, 3, 26])
async def test_there_may_be_2_to_26_choices(count):
    choices = [f"the {letter}-cell" for letter in ascii_uppercase[:count]]
    chosen = await chooser().choose("Which cell?", choices, [passage(f"It is {choices[-1]}.")])
    assert 0 <= chosen.index < count


@pytest.mark.parametrize("count", [0, 1, 27])
async def test_other_numbers_are_refused(count):
    with pytest.raises(ValueError, match=f"2 to 26 choices, got {count}"):
        await chooser().choose("Which cell?", ["x"] * count)


async def test_equal_choices_are_answered_all_the_same():
    chosen = await chooser().choose("Which?", ["same", "same"], [ENERGY])
    assert chosen.index in (0, 1)


async def test_marks_that_look_like_citations_are_not_quoted_as_such():
    marked = passage("The mitochondrion makes most of the energy of a cell [7].")
    chosen = await chooser().choose(QUESTION, CHOICES, [marked])
    assert chosen.text.endswith("of a cell (7). [1]")


async def test_questions_asked_at_once_are_answered_as_one_by_one():
    one, asked = chooser(), [(f"{QUESTION} {n}", [ENERGY, NUCLEUS, BREAD]) for n in range(16)]
    together = await asyncio.gather(*(one.choose(q, CHOICES, p) for q, p in asked))
    assert together == [await chooser().choose(q, CHOICES, p) for q, p in asked]


def test_the_question_is_searched_alone_and_with_each_choice_once():
    assert chooser().queries("Which?", ["a", "b", "a"]) == ["Which?", "Which? a", "Which? b"]


def test_a_text_is_encoded_once():
    seen = []

    def embed(given):
        seen.extend(given)
        return bag(given)

    one = ScoringChooser(embed, encoder="toy")
    first = one.evidence(QUESTION, CHOICES, [ENERGY, NUCLEUS]).features
    second = one.evidence(QUESTION, CHOICES, [NUCLEUS, ENERGY]).features
    np.testing.assert_array_equal(first, second)
    assert len(seen) == len(set(seen)) > 0


def test_whatever_changes_its_choices_changes_its_identity():
    other = dict.fromkeys(NAMES, 1.0)
    made = [
        chooser(),
        chooser(weights=other),
        chooser(language="german"),
        chooser(share=lambda _: 0.5, shares="half"),
        ScoringChooser(bag, encoder="another"),
    ]
    assert len({str(sorted(one.identity.items())) for one in made}) == len(made)
    assert chooser().identity == chooser().identity


def test_weights_must_be_those_of_the_evidence():
    with pytest.raises(ValueError, match="weights must be for cosine"):
        chooser(weights={"cosine": 1.0})
