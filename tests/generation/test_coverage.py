import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.coverage import citation_coverage


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("It bakes at 230 degrees [1].", 1),
        ("It bakes at 230 degrees.", 0),
        ("It bakes [1]. It rests.", 0.5),
        ("It bakes. [1] It rests. [2][3]", 1),
        ("It bakes.[1] It rests.", 0.5),
        ("“It bakes.” [1] It rests.", 0.5),
        ("It bakes。[1] It rests。", 0.5),
        ("- It bakes [1]\n- It rests", 0.5),
        ("1. It bakes [1].\n2. It rests [2].", 1),
        ("# Baking\n\nThe passages say:\n\n- It bakes [1].", 1),
        ("It bakes at 3.5 bar, e.g. in Ulm [1].", 1),
        ("It bakes in [2024].", 0),
    ],
)
def test_a_sentence_counts_once_whatever_it_looks_like(answer, share):
    assert citation_coverage(answer) == share


@pytest.mark.parametrize("answer", ["", "42", "# Baking", "[1]", "Here:", "1. 2."])
def test_without_a_claim_there_is_no_share(answer):
    assert citation_coverage(answer) is None


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.booleans())
def test_it_is_the_share_of_cited_sentences(cited, behind):
    marked = "Dough rests. [1]" if behind else "Dough rests [1]."
    answer = " ".join(marked if one else "Dough rests." for one in cited)
    assert citation_coverage(answer) == sum(cited) / len(cited)
