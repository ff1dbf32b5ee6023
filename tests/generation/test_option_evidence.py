import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.option_evidence import (
    CLOSED,
    NAMES,
    Comparison,
    Terms,
    TermShares,
    is_negated,
    statement,
)
from tests.generation.support import passage
from tests.generation.test_quoting import bag

TERMS = Terms()
QUESTION = "Which organelle makes most of the energy of a cell?"
CHOICES = ["the nucleus", "the mitochondrion", "the ribosome"]
ENERGY = passage("Cells need fuel. The mitochondrion makes most of the energy of a cell as ATP.")
BREAD = passage("Bread is baked at 230 degrees. Let the dough rest for an hour.")
COLUMN = {name: n for n, name in enumerate(NAMES)}


def features(question, choices, passages, share=None):
    return Comparison(bag, TERMS, share).of(question, choices, passages).features


def test_every_column_is_centred_within_the_question():
    found = features(QUESTION, [*CHOICES, "all of the above"], [ENERGY, BREAD])
    assert found.shape == (4, len(NAMES))
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-9)


def test_without_passages_their_columns_are_zero_and_the_others_are_as_with_them():
    closed, found = features(QUESTION, CHOICES, []), features(QUESTION, CHOICES, [ENERGY])
    assert not closed[:, CLOSED:].any()
    assert found[:, CLOSED:].any()
    np.testing.assert_array_equal(closed[:, :CLOSED], found[:, :CLOSED])


def test_words_near_the_questions_speak_for_a_choice():
    near = features(QUESTION, CHOICES, [ENERGY, BREAD])[:, COLUMN["near"]]
    assert near.argmax() == 1


def test_the_same_words_far_apart_say_less():
    filler = "Bread is baked at 230 degrees by those who know. " * 40
    apart = passage(f"Most of the energy of a cell is made by an organelle. {filler} mitochondrion")
    close, far = (features(QUESTION, CHOICES, [p])[1, COLUMN["near"]] for p in (ENERGY, apart))
    assert 0 < far < close / 10


def test_a_passage_that_shares_no_word_with_the_choices_has_no_lexical_say():
    assert not features(QUESTION, CHOICES, [BREAD])[:, COLUMN["near"]].any()


def test_rare_words_weigh_more():
    texts = ["the cell divides"] * 50 + ["the nucleus"] * 45 + ["the ribosome"]
    question, choices = "Which part of the cell?", ["big nucleus", "big ribosome"]
    said = [passage("The ribosome of the cell."), passage("The nucleus of the cell. ")]
    alike = features(question, choices, said)[:, COLUMN["near"]]
    weighed = features(question, choices, said, TermShares(texts, TERMS))[:, COLUMN["near"]]
    assert alike[0] == pytest.approx(alike[1])
    assert weighed[1] > weighed[0]


@pytest.mark.parametrize("negated", ["is NOT made there", "is not made there", "is least needed"])
def test_negation_turns_what_passages_say_round(negated):
    plain = features("Which energy is made there", CHOICES, [ENERGY])
    turned = features(f"Which energy {negated}", CHOICES, [ENERGY])
    assert plain[1, COLUMN["near"]] > 0
    assert turned[1, COLUMN["near"]] < 0


@pytest.mark.parametrize(
    ("question", "negated"),
    [
        ("Which of the following is not a bone?", True),
        ("All of these are bones EXCEPT", True),
        ("Which statement is false?", True),
        ("What is least likely?", True),
        ("Which has at least two chambers?", False),
        ("What is made when oxygen is there?", False),
        ("A patient did not sleep. Her pulse is", False),
        ("The notochord becomes", False),
    ],
)
def test_questions_for_what_does_not_hold_are_told(question, negated):
    assert is_negated(question) is negated


@pytest.mark.parametrize(
    ("choice", "column"),
    [
        ("All of the above", "all"),
        ("all the above.", "all"),
        ("both A and B", "all"),
        ("both (a) and (b)", "all"),
        ("None of the above", "none"),
        ("none of these", "none"),
        ("neither A nor B", "none"),
    ],
)
def test_choices_about_other_choices_are_marked_and_have_their_mean(choice, column):
    found = features(QUESTION, [*CHOICES, choice], [ENERGY])
    assert found[3, COLUMN[column]] == pytest.approx(0.75)
    assert found[3, CLOSED:] == pytest.approx(0)


@pytest.mark.parametrize("choice", ["all bones", "both lungs", "a nonexistent one", "above"])
def test_other_choices_are_not(choice):
    found = features(QUESTION, [*CHOICES, choice], [])
    assert not found[:, [COLUMN["all"], COLUMN["none"]]].any()


def test_a_blank_is_filled_with_the_choice():
    assert statement("The ________ makes energy.", r"a\1") == r"The a\1 makes energy."
    assert statement("What makes energy?", "ATP") == "What makes energy? ATP"


def test_headings_are_not_quoted():
    noted = passage("It folds inwards.")
    noted.node.metadata["headings"] = ["The mitochondrion"]
    evidence = Comparison(bag, TERMS).of(QUESTION, CHOICES, [noted])
    assert {sentence.text for sentence in evidence.best} == {"It folds inwards."}


def test_shares_count_passages_not_words():
    share = TermShares(["cell cell", "cells", "bread"], TERMS)
    assert share("cell") == pytest.approx(2.5 / 4)
    assert 0 < share("unheard") < share("bread") < share("cell")
    assert share.fingerprint == TermShares(["bread", "cells", "cell cell"], TERMS).fingerprint
    assert share.fingerprint != TermShares(["cell cell", "cells"], TERMS).fingerprint


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="klingon"):
        Terms("klingon")


odd = st.text(max_size=40)


@given(odd, st.lists(odd, min_size=2, max_size=26), st.lists(odd, max_size=4))
def test_any_text_has_finite_evidence(question, choices, texts):
    assert np.isfinite(features(question, choices, [passage(text) for text in texts])).all()
