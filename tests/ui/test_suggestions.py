from pathlib import Path

from rag_app.assembly.application import open_application
from rag_app.results import Hit
from rag_app.settings import load_settings
from ui.first_start import EXAMPLES
from ui.suggestions import suggest, suggestions

TABLE = (
    "Pumps\n\n| Pump | Head m | Flow |\n| --- | ---: | --- |\n| P-3 north | 32 | |\n| P-4 | 7 | 1 |"
)


def a_hit(source: str, text: str = "x", *headings: str, start: int = 0) -> Hit:
    return Hit(f"{source}{start}", source, None, start, start + 1, text, 0.0, {}, {}, headings)


def test_questions_come_from_a_table_row_and_a_heading_of_each_document():
    found = [
        a_hit("b.md", "x", "Book", "Later", start=9),
        a_hit("b.md", TABLE, "Book", "Pumps and heads"),
        a_hit("a.md", "x", "Why does it rattle?"),
        a_hit("c.md", "x", "Third"),
        a_hit("d.md", "x", "Fourth"),
    ]
    assert (
        suggest(found)
        == suggest(reversed(found))
        == [
            "What is “Head m” for P-3 north?",
            "Why does it rattle?",
            "What does b.md say about “Pumps and heads”?",
        ]
    )


def test_what_says_nothing_makes_no_question():
    odd = ("| a |\n| - |\n| b |", "| 1 | 2 |\n| - | - |\n| 3 | 4 |", "|||\n|||\n|||", "| x")
    assert (
        suggest([a_hit(f"{n}.md", text, "12", "§", "z" * 99) for n, text in enumerate(odd)]) == []
    )
    assert suggest([]) == []


async def test_a_collection_of_ones_own_offers_its_own_questions(tmp_path: Path):
    settings = load_settings(overrides={"storage": {"path": tmp_path / "storage"}})
    application, _ = open_application(settings)
    note = tmp_path / "ferry.md"
    note.write_text("# Ferries\n\n## The north quay\n\nThe ferry leaves the north quay at seven.")
    await application.ingest("c", [note])
    assert application.changes == 1
    found = await suggestions(application, "c")
    assert await suggestions(application, "samples") == EXAMPLES
    assert await suggestions(application, "nowhere") == ()
    await application.close()
    assert found == ["What does ferry.md say about “The north quay”?"]
