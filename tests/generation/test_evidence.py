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


def test_vectors_are_of_the_candidates_that_share_most():
    def embed(texts: list[str]) -> np.ndarray:
        return np.array([[1, 0]] * len(texts), dtype=np.float32)

    finder = EvidenceFinder("english", embed, lambda _: np.array([1, 0], np.float32), encoded=1)
    found = finder.find("old pump", [passage("The mill is far away. The old pump leaks.")])
    assert found.features[:, 0].tolist() == [0, 1]
