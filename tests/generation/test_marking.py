from generation.evidence import Terms
from generation.marking import find_quotes
from tests.generation.support import passage

TEXT = "The mill is old. The reserve pump stands in bay 5. Bread is baked at noon."


def marked(answer: str) -> dict[int, list[str]]:
    found = find_quotes(answer, {1: passage(TEXT), 2: passage("Other words.")}, Terms("english"))
    return {n: [TEXT[a:b] for a, b in spans] for n, spans in found.items()}


def test_the_sentence_that_bears_a_claim_out_is_marked():
    assert marked("In bay 5 you find the reserve pump [1].") == {
        1: ["The reserve pump stands in bay 5."]
    }


def test_a_citation_behind_the_full_stop_belongs_to_the_sentence_before():
    answer = "The pump is in bay 5. [1] Bread is baked at noon. [1]"
    assert marked(answer) == {1: ["The reserve pump stands in bay 5.", "Bread is baked at noon."]}


def test_what_nothing_bears_out_marks_nothing():
    assert marked("Whales are mammals [1].") == {1: []}


def test_only_cited_passages_are_looked_at():
    assert marked("No citation here.") == {}
