"""Questions without a language model."""

from collections import Counter

from eval.datasets.generated.templates import GAP, Rarity, question
from retrieval.analysis import Analyzer

TERMS = Analyzer("english")
COMMON = {
    "below": 990,
    "water": 900,
    "pump": 500,
    "start": 300,
    "fall": 200,
    "pressur": 90,
    "inlet": 9,
}
RARITY = Rarity(TERMS, Counter({**COMMON, "suffer": 5, "vapour": 4, "cavit": 2}), 1000)
TEXT = (
    "Water is good. The pump starts to suffer from cavitation when the pressure of the water at "
    "its inlet falls below the vapour pressure. See above."
)


def test_the_rarest_third_of_the_most_telling_sentence_is_blanked() -> None:
    text = "The water falls and the pump starts, and the pump starts for the water. " + TEXT
    asked = question(text, (), RARITY)
    assert asked is not None
    assert asked[1] == "cloze"
    assert asked[0].startswith("The pump")
    kept = set(TERMS(asked[0]))
    assert {"pump", "water", "pressur"} <= kept
    assert not {"cavit", "vapour", "suffer"} & kept
    assert asked[0].count(GAP) == 3
    assert set(asked[0].replace(GAP, " ").split()) <= set(text.split())


def test_every_form_of_a_blanked_word_is_blanked() -> None:
    text = "Cavitation harms pumps, since cavitations of the water at an inlet erode its metal."
    frequency = Counter(dict.fromkeys(TERMS(text), 50) | {"cavit": 0, "erod": 1})
    asked = question(text, (), Rarity(TERMS, frequency, 1000))
    assert asked == (
        f"{GAP} harms pumps, since {GAP} of the water at an inlet {GAP} its metal.", "cloze",
    )  # fmt: skip


def test_headings_are_followed_by_words_that_they_lack_and_not_by_the_rarest() -> None:
    asked = question(TEXT, ("Manual", "Cavitation"), RARITY)
    assert asked is not None
    assert asked[1] == "heading"
    heading, _, words = asked[0].partition(": ")
    assert heading == "Cavitation"
    assert words == "starts pressure falls"
    assert question(TEXT, (), RARITY) != asked


def test_a_passage_without_a_telling_sentence_yields_no_question() -> None:
    assert question("Too short.", (), RARITY) is None
    assert question("it is what it is and we are who we are, are we not", (), RARITY) is None


def test_words_that_searches_pass_over_are_never_rare() -> None:
    assert RARITY.of("the") == 0
    assert RARITY.of("cavitation") > RARITY.of("pressure") > RARITY.of("pump") > 0
