import re

from hypothesis import given
from hypothesis import strategies as st

from retrieval.training import pairs
from retrieval.training.pairs import KINDS, Passage

FILLER = "It is kept dry and warm through the long winter months by those who live near it. " * 2


def sentences(text):
    return re.findall(r"[^.]+\.?", text)


def of(kind, text, headings=()):
    made = pairs.make([Passage("doc", text, headings)], sentences, [kind])
    return [(one.query, one.pos[0]) for one in made]


def test_titles_ask_for_the_text_below_them():
    found = of("heading", FILLER, ("Handbook", "Pumps", "Suction head of pumps"))
    assert found == [("Pumps: Suction head of pumps", FILLER)]


def test_the_first_sentence_asks_for_the_rest_and_is_not_in_it():
    ((query, rest),) = of("sentence", f"The otter builds a holt. {FILLER}", ("Otters",))
    assert query == "The otter builds a holt."
    assert query not in rest
    assert rest.startswith("Otters It is kept dry")


def test_a_cloze_blanks_a_word_that_the_rest_does_not_give_away_as_a_copy():
    sentence = "The ferry carries turbines and passengers over the sound on every single morning."
    text = f"One. {sentence} {FILLER}"
    other = Passage("other", "Old turbines stand there.")
    (one,) = pairs.make([Passage("doc", text), other], sentences, ["cloze"])
    assert one.query.startswith("The ferry carries ________ and")
    assert "ferry" not in one.pos[0]


def test_terms_and_definitions_ask_for_each_other():
    text = f"- **Holt**: the den of an otter by the river\n\n{FILLER}"
    assert [query for query, _ in of("glossary", text)] == [
        "What is Holt?",
        "the den of an otter by the river",
    ]


def test_labels_of_a_value_ask_for_its_table():
    text = (
        "| Island | Summer output | Winter output |\n|---|---:|---:|\n"
        "| Ness Spur | 4 | 9 |\n| Sandholm | 3 | |\n" + FILLER
    )
    assert [query for query, _ in of("table", text)] == [
        "Island Ness Spur: Summer output",
        "Island Ness Spur: Winter output",
        "Island Sandholm: Summer output",
    ]


def test_a_lead_in_asks_for_its_list():
    text = (
        "Before a storm the crew does this:\n- shut the intake gates\n- start the old diesel\n"
        + FILLER
    )
    ((query, rest),) = of("list", text)
    assert query == "Before a storm the crew does this"
    assert rest.startswith("- shut the intake gates")


@given(st.lists(st.text(max_size=300), max_size=3))
def test_any_text_is_endured_and_no_pair_is_blank(texts):
    passages = [Passage(str(at), text, ("Title",)) for at, text in enumerate(texts)]
    for example in pairs.make(passages, sentences):
        assert example.kind in KINDS
        assert len(example.query.split()) >= pairs.SHORTEST_QUERY
        assert len(example.pos[0].split()) >= pairs.SHORTEST_REST


def test_a_query_begins_with_words_and_not_with_a_mark_of_markdown():
    for mark in ("## ", "- ", "> ", "• "):
        ((query, _),) = of("sentence", f"{mark}The otter builds a holt. {FILLER}")
        assert query == "The otter builds a holt."
    ((query, _),) = of("sentence", f"#5 is the pump that the otter likes. {FILLER}")
    assert query == "#5 is the pump that the otter likes."
