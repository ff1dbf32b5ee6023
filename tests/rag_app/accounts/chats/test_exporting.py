from rag_app.accounts.chats.exporting import markdown, questions
from tests.rag_app.accounts.chats.talk import a_turn


def test_a_document_shows_what_a_follow_up_was_searched_for_and_what_was_stopped():
    text = markdown("On *birds*", [a_turn(text="In alders [1].", state="stopped", citations=[])])
    assert text == (
        "# On *birds*\n\n## Where does the heron nest?\n\n"
        "*Searched for: Where does the grey heron nest?*\n\n"
        "In alders [1].\n\n*Stopped before the end.*"
    )


def test_a_document_shows_what_went_wrong_and_no_empty_emphasis():
    silent = {"trace": None, "citations": [], "text": ""}
    turns = [a_turn("Why?", **silent, state="stopped"), a_turn("So?", **silent, state="running")]
    turns.append(a_turn("When?", **silent | {"text": "At"}, state="failed", error="it broke"))
    assert markdown("t", turns) == (
        "# t\n\n## Why?\n\n*Stopped before the end.*\n\n## So?\n\n\n\n## When?\n\nAt\n\n*it broke*"
    )


def test_each_document_that_a_good_answer_cites_is_a_pair_once():
    turns = [
        a_turn(rating="up", comment="right", asked="2026-01-02"),
        a_turn(rating="down"),
        a_turn(),
        a_turn(rating="up", abstained=True),
    ]
    stem = {
        "question": "Where does the grey heron nest?",
        "answer": turns[0].text,
        "collection": "c",
        "comment": "right",
    }
    assert questions(turns) == [
        {"id": "2026-01-02 0.1", "document": "birds.pdf", "text": "In alders.", **stem},
        {"id": "2026-01-02 0.3", "passage_id": "note-7", "text": "Reed.", **stem},
    ]
