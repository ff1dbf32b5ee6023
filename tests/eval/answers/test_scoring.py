"""Quotations are looked up; what cannot be looked up is never counted as true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answers.scoring import Evidence, evidence

YEAST = "Yeast needs warmth. Dough rises for two hours at room temperature."
SALT = "Salt slows the yeast down, and strengthens the gluten."
CITED = {1: YEAST, 2: SALT}


def test_a_sentence_that_stands_in_the_passage_it_cites_is_borne_out():
    found = evidence("Dough rises for two hours at room temperature [1].", CITED, [YEAST, SALT])
    assert found == Evidence(1, 1, 0, 1, 1, 1, 1)


def test_a_quotation_in_a_sentence_is_what_is_looked_up():
    text = 'The book says that salt "slows the yeast down" in bread. [2]'
    assert evidence(text, CITED, [YEAST, SALT]) == Evidence(1, 1, 0, 1, 1, 1, 1)


def test_a_wrong_citation_costs_precision_and_recall_but_not_faithfulness():
    text = "Salt slows the yeast down, and strengthens the gluten [1]."
    assert evidence(text, CITED, [YEAST, SALT]) == Evidence(1, 0, 0, 1, 0, 1, 1)


def test_an_invented_quotation_is_unfaithful():
    text = 'It says "sugar kills all the yeast at once" [1].'
    assert evidence(text, CITED, [YEAST]) == Evidence(1, 0, 0, 1, 0, 1, 0)


def test_a_paraphrase_is_not_borne_out_and_is_no_quotation():
    text = "Give the dough about a hundred and twenty minutes [1]."
    assert evidence(text, CITED, [YEAST]) == Evidence(claims=1, unquoted=1)


def test_a_quotation_ends_where_words_end():
    assert evidence('It "needs warmth dough rise" [1].', CITED, []).true_quotes == 0


def test_a_citation_too_many_costs_precision_alone():
    text = "Dough rises for two hours at room temperature [1][2]."
    found = evidence(text, CITED, [])
    assert (found.borne_out, found.citations, found.right_citations) == (1, 2, 1)


def test_sentences_quoted_together_are_borne_out_by_the_one_citation_at_their_end():
    text = "- Yeast needs warmth. Dough rises for two hours at room temperature. [1]"
    assert evidence(text, CITED, [YEAST]) == Evidence(2, 2, 0, 1, 1, 2, 2)


@pytest.mark.parametrize(
    "text",
    [
        "Yeast needs warmth. Salt slows the yeast down, and strengthens the gluten. [2]",
        "Yeast needs warmth.\n\nDough rises for two hours at room temperature. [1]",
        "- Yeast needs warmth.\n- Dough rises for two hours at room temperature. [1]",
        "Dough rises for two hours at room temperature. [1] Yeast needs warmth.",
        'They say "yeast needs warmth". Dough rises for two hours at room temperature. [1]',
    ],
    ids=["other passage", "other paragraph", "other item", "citation before", "own words"],
)
def test_any_other_sentence_without_a_citation_is_not_borne_out(text):
    found = evidence(text, CITED, [YEAST, SALT])
    assert (found.claims, found.borne_out, found.citations, found.quotes) == (2, 1, 1, 2)


def test_a_paraphrase_before_a_cited_quotation_is_not_borne_out():
    text = "Warmth helps. Dough rises for two hours at room temperature. [1]"
    assert evidence(text, CITED, [YEAST]) == Evidence(2, 1, 1, 1, 1, 1, 1)


def test_the_nearest_citation_behind_is_the_one_that_counts():
    text = (
        "Yeast needs warmth. Salt slows the yeast down, and strengthens the gluten. [2] "
        "Dough rises for two hours at room temperature. [1]"
    )
    assert evidence(text, CITED, [YEAST, SALT]).borne_out == 2


@given(st.text(max_size=300), st.dictionaries(st.integers(1, 9), st.text(max_size=80), max_size=4))
def test_a_part_is_never_larger_than_its_whole(text, cited):
    found = evidence(text, cited, [])
    assert found.borne_out + found.unquoted <= found.claims
    assert found.right_citations <= found.citations
    assert found.true_quotes <= found.quotes
