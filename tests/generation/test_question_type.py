import pytest

from generation.question_type import asking_part, has_answer, question_type


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many pumps are there?", "number"),
        ("What is the maximum pressure?", "number"),
        ("When was it built?", "time"),
        ("In what year was it built?", "time"),
        ("It was built when?", "time"),
        ("Is the pressure lower than in two halls?", ""),
        ("When the flow grows, is the pressure lower?", ""),
        ("What happens when a pump runs dry?", ""),
        ("Which cause makes flow and pressure rise?", ""),
        ("Which flow does it give?", "number"),
        ("What is the highest allowed temperature?", "number"),
        ("Who built it?", "person"),
        ("Where is the key?", "place"),
        ("Why does it rattle?", "reason"),
        ("Wie viele Pumpen gibt es?", "number"),
        ("Wann ist die Wartung?", "time"),
        ("Qui garde la clé ?", "person"),
        ("¿Dónde está la bomba?", "place"),
        ("Hvornår er mødet?", "time"),
        ("备用电机存放在哪里？", "place"),
        ("Describe the pump.", ""),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(question, kind):
    assert question_type(question) == kind


@pytest.mark.parametrize(
    ("question", "asking"),
    [
        ("Why does it rattle?", "Why does it rattle?"),
        ("We cleaned it when it was new. Why does it rattle?", "Why does it rattle?"),
        ("What is it? It rattles. Why does it?", "What is it? Why does it?"),
        ("It rattles. Tell me why.", "It rattles. Tell me why."),
        ("La pompe a 40 ans. Est-elle usée ?", "Est-elle usée ?"),
        ("泵很旧。为什么？", "为什么？"),
        ("", ""),
    ],
)
def test_what_a_person_tells_beforehand_is_not_what_they_ask(question, asking):
    assert asking_part(question) == asking


@pytest.mark.parametrize(
    ("kind", "sentence", "asked", "expected"),
    [
        ("number", "There are nine of them.", set(), True),
        ("number", "Pump 3 is old.", {"3"}, False),
        ("time", "It was built in 1811.", set(), True),
        ("time", "It was built in a hurry.", set(), False),
        ("person", "It was built by Alma Quist.", set(), True),
        ("person", "The Weir is old.", {"weir"}, False),
        ("reason", "It rattles because air gets in.", set(), True),
        ("", "Anything.", set(), False),
    ],
)
def test_a_sentence_has_that_kind_of_answer_or_not(kind, sentence, asked, expected):
    assert has_answer(kind, sentence, asked) is expected
