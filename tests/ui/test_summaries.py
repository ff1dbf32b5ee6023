from data.blocks import Block
from ui.summaries import Summary, summarise

OPENING = "The lift pump rattles because its suction head is too small. It can be raised."


def test_a_summary_is_the_first_sentences_and_the_topmost_headings() -> None:
    blocks = [
        Block("heading", "# Pumps", title="Pumps", level=0),
        Block("paragraph", "Harbour, 3 May"),
        Block("heading", "Cavitation", level=1),
        Block("paragraph", f"{OPENING} A third sentence says more than anybody wants."),
        Block("heading", "Signs", level=2),
        Block("heading", "Remedies", level=1),
    ]
    assert summarise(blocks) == Summary(OPENING, ("Cavitation", "Remedies"))


def test_a_document_without_paragraphs_or_headings_has_an_empty_one() -> None:
    assert summarise([]) == Summary("", ())
    assert summarise([Block("table", "| a |\n|---|\n| 1 |")]) == Summary("", ())


def test_a_long_opening_is_cut() -> None:
    summary = summarise([Block("paragraph", "word " * 300)])
    assert len(summary.opening) <= 400
    assert summary.opening.endswith("…")
