import numpy as np

from generation.answerability import SIGNS, answerability, describe, is_answered
from generation.evidence import FEATURES, EvidenceFinder
from generation.fitted_weights import ANSWERABILITY, QUOTING
from tests.generation.support import passage


def finder() -> EvidenceFinder:
    """With an encoder for which all is alike."""
    one = np.array([0.6, 0.8], dtype=np.float32)
    return EvidenceFinder("english", lambda texts: np.stack([one] * len(texts)), lambda _: one)


def test_the_weights_have_the_names_of_the_numbers():
    assert set(ANSWERABILITY) == set(SIGNS)
    assert set(QUOTING) == set(FEATURES)


def test_without_evidence_there_is_no_answer():
    evidence = finder().find("Which pump?", [])
    assert answerability(evidence) == 0
    assert not is_answered(0)
    assert describe(evidence).shape == (len(SIGNS),)


def test_more_of_the_question_in_a_passage_is_a_better_sign():
    question = "When was the north basin lined with clay?"
    held = finder().find(question, [passage("The north basin was lined with clay in 1811.")])
    part = finder().find(question, [passage("The basin of the station is old and deep.")])
    assert answerability(held) > answerability(part)
