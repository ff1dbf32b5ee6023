"""Questions without a language model."""

from collections import Counter

from eval.own.templates import GAP, Rarity, question
from retrieval.analysis import Analyzer

TERMS = Analyzer("english")
RARITY = Rarity(TERMS, Counter({"water": 900, "pump": 500, "pressur": 90, "cavit": 2}), 1000)
TEXT = (
    "Water is good. The pump starts to suffer from cavitation when the pressure of the water at "
    "its inlet falls below the vapour pressure. See above."
)


def test_the_rarest_word_of_the_most_telling_sentence_is_blanked() -> None:
    text = "Nobody should ever drink the water of this pump at any time. " + TEXT
    asked = question(text, (), Rarity(TERMS, Counter({**RARITY.frequency, "vapour": 0}), 1000))
    assert asked is not None
    assert asked[1] == "cloze"
    assert asked[0].startswith("The pump starts")
    assert GAP in asked[0]
    assert set(asked[0].replace(GAP, " ").split()) <= set(text.split())


def test_every_form_of_the_blanked_word_is_blanked() -> None:
    text = "Cavitation harms pumps, since cavitations of the water at an inlet erode its metal."
    frequency = Counter(dict.fromkeys(TERMS(text), 50) | {"cavit": 0})
    asked = question(text, (), Rarity(TERMS, frequency, 1000))
    assert asked == (
        f"{GAP} harms pumps, since {GAP} of the water at an inlet erode its metal.", "cloze",
    )  # fmt: skip


def test_headings_are_followed_by_rare_words_that_they_lack() -> None:
    asked = question(TEXT, ("Manual", "Cavitation"), RARITY)
    assert asked is not None
    assert asked[1] == "heading"
    heading, _, words = asked[0].partition(": ")
    assert heading == "Cavitation"
    assert len(words.split()) == 5
    assert "cavitation" not in words
    assert "pump" not in words.split()


def test_a_passage_without_a_telling_sentence_yields_no_question() -> None:
    assert question("Too short.", (), RARITY) is None
    assert question("it is what it is and we are who we are, are we not", (), RARITY) is None


def test_words_that_searches_pass_over_are_never_rare() -> None:
    assert RARITY.of("the") == 0
    assert RARITY.of("cavitation") > RARITY.of("pressure") > RARITY.of("pump") > 0
