import numpy as np
import pytest

from generation.evidence import FEATURES, EvidenceFinder, Terms
from tests.generation.support import passage


def test_terms_are_stems_without_stop_words_and_pairs_of_characters():
    terms = Terms("english")
    assert terms("What is the pump's pressure at 3.5 bar?") == [
        "pump",
        "s",
        "pressur",
        "3.5",
        "bar",
    ]
    assert terms("备用电机") == ["备用", "用电", "电机"]
    assert terms("") == []
    assert terms("the V-16/b of hall 3") == ["v", "16", "b", "hall", "3", "v-16/b"]


def test_columns_are_those_that_are_named():
    found = EvidenceFinder().find("Which pump is old?", [passage("The pump in bay 3 is old.")])
    assert found.features.shape == (1, len(FEATURES))
    assert found.vectors is None
    assert found.passage_coverage == [pytest.approx(1)]


def test_headings_count_as_words_around_a_sentence():
    node = passage("It stands in bay 3 of the hall.")
    node.node.metadata["headings"] = ["Reserve pump"]
    bare = EvidenceFinder().find("reserve pump", [passage("It stands in bay 3 of the hall.")])
    found = EvidenceFinder().find("reserve pump", [node])
    column = FEATURES.index("context_coverage")
    assert found.features[0, column] > bare.features[0, column]


def test_the_words_looked_for_are_named_as_they_were_asked():
    assert EvidenceFinder().words("Which PUMPS leak?", ["pump"]) == ["PUMPS"]


def test_function_words_of_other_languages_are_not_looked_for():
    found = EvidenceFinder().find("Wie viel Honig gab die Linde?", [passage("Linde: Honig 31 kg")])
    assert found.wanted.keys() == {"honig", "lind"}
    assert found.passage_coverage == [pytest.approx(1)]


def test_vectors_are_of_the_candidates_that_share_most():
    def embed(texts: list[str]) -> np.ndarray:
        return np.array([[1, 0]] * len(texts), dtype=np.float32)

    finder = EvidenceFinder("english", embed, lambda _: np.array([1, 0], np.float32), encoded=1)
    found = finder.find("old pump", [passage("The mill is far away. The old pump leaks.")])
    assert found.features[:, 0].tolist() == [0, 1]


def test_words_of_the_story_before_a_question_count_half():
    passages = [passage("The ferry is blue and old. The pump rattles when air gets in.")]
    plain = EvidenceFinder().find("Why does the pump rattle?", passages)
    told = EvidenceFinder().find("Our ferry is blue. Why does the pump rattle?", passages)
    both = EvidenceFinder().find("Why is our ferry blue and the pump rattling?", passages)
    assert plain.wanted["pump"] == told.wanted["pump"]
    assert told.wanted["ferri"] == pytest.approx(both.wanted["ferri"] / 2)


def test_a_question_with_a_story_is_half_as_near_to_the_story():
    vectors = {"Why?": (0, 1), "It rains. Why?": (1, 0)}

    def embed_query(text: str) -> np.ndarray:
        return np.array(vectors[text], np.float32)

    def embed(texts: list[str]) -> np.ndarray:
        return np.array([[0, 1]] * len(texts), np.float32)

    finder = EvidenceFinder("english", embed, embed_query)
    found = finder.find("It rains. Why?", [passage("The clouds are full of water.")])
    assert found.features[0, 0] == pytest.approx(0.5**0.5)
