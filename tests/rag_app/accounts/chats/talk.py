"""A turn with everything that one can have."""

from generation.citations import Citation, Quote
from rag_app.accounts.chats.conversation import Turn
from rag_app.results import Hit, Trace


def a_turn(question: str = "Where does the heron nest?", **changed: object) -> Turn:
    trace = Trace(models={"reader": "m"}, tokens={"prompt": 5}, passages_given=2, passages_used=1)
    trace.stage("condense", "llm", 1.5, question="Where does the grey heron nest?")
    boxes = ((3.0, 1.0, 2.0, 3.0, 4.0),)
    hit = Hit("p1", "birds.pdf", 3, 0, 9, "In alders.", 0.5, {"bm25": 1}, {"bm25": 7.0},
              ("Herons",), None, boxes, 0.75)  # fmt: skip
    cut = Hit("p2", "notes.jsonl", None, 0, 4, "Reed.", 0.25, {}, {}, (), "note-7")
    quotes = (Quote("alders", 3, 9),)
    first = Citation(1, "p1", "birds.pdf", 3, 0, 9, "In alders.", "Herons", "page 3", boxes, quotes)
    again = Citation(2, "p1b", "birds.pdf", 4, 0, 4, "Ever.")
    third = Citation(3, "p2", "notes.jsonl", None, 0, 4, "Reed.")
    turn = Turn(
        0, question, "c", "In alders [1][2], or reed [3].", "done", [hit, cut],
        [first, again, third], trace, answerability=0.9, thinking="hm", milliseconds=12.5,
    )  # fmt: skip
    for name, value in changed.items():
        setattr(turn, name, value)
    return turn
