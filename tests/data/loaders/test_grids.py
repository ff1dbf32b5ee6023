"""Tables in PDF, in the forms of the benchmark's set and some of their own."""

import pytest

from benchmarks.pdf_tables import by_loader, grids, right
from benchmarks.table_set import FORMS, table_set
from data.blocks import Block
from data.loaders.pdf import load
from tests.data.loaders.pdfs import Sheets


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return {one.name: one for one in table_set(tmp_path_factory.mktemp("tables"), seed=23)}


@pytest.mark.parametrize("name", [form.name for form in FORMS])
def test_every_value_stands_under_its_header_beside_its_label(drawn, name):
    tables = grids(by_loader(drawn[name].path))
    wrong = [fact for fact in drawn[name].facts if not right(fact, tables)]
    assert wrong == []


def tables(path):
    return [b for b in load(path) if isinstance(b, Block) and b.table is not None]


def test_a_table_over_pages_goes_on_without_a_second_header(drawn):
    first, second, *_ = tables(drawn["ruled, over pages, header repeated"].path)
    assert (first.page, second.page) == (1, 2)
    assert first.text.startswith("Table 1. Readings of the works\n\n| Machine |")
    assert second.joint == "\n"
    assert "Machine" not in second.text
    assert second.table.rows[0] == first.table.rows[0]


def test_prose_around_a_table_stays_outside(drawn):
    kinds = [
        b.kind
        for b in load(drawn["borderless"].path)
        if isinstance(b, Block) and b.kind != "page_footer"
    ]
    assert kinds == ["paragraph", "paragraph", "table", "paragraph"]


def test_a_frame_around_a_paragraph_is_no_table(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    pdf.rect(50, 50, 300, 60)
    pdf.lines(60, 60, "Mind the gate: it closes by itself", "when the bell has rung twice.")
    assert tables(pdf.save(tmp_path)) == []


def test_a_numbered_list_with_wide_gaps_is_no_table(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    for row, text in enumerate(["Open the gate", "Ring the bell", "Close the gate", "Go home"]):
        pdf.say(60, 60 + 14 * row, f"{row + 1}.")
        pdf.say(90, 60 + 14 * row, text)
    assert tables(pdf.save(tmp_path)) == []
    assert next(b.text for b in load(tmp_path / "a.pdf")) == "1. Open the gate"


LONG = "The keepers of the works write down each reading at dawn and at dusk."


def put(pdf, rows, xs, y, step=15):
    """Rows of texts at the places `xs`, without lines."""
    for row in rows:
        for x, text in zip(xs, row, strict=True):
            pdf.say(x, y, text, 10)
        y += step


def test_one_last_row_on_the_next_page_belongs_to_the_table(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    rows = [[f"Bolt {n}", str(100 + n), f"{n}.50"] for n in range(1, 45)]
    put(pdf, [["Item", "Stock", "Price"], *rows], (60, 210, 360), 60)
    pdf.add_page()
    put(pdf, [["Bolt 45", "145", "45.50"]], (60, 210, 360), 60)
    pdf.lines(60, 110, LONG)
    first, last = tables(pdf.save(tmp_path))
    assert first.text.startswith("| Item | Stock | Price |")
    assert (last.page, last.joint, last.text) == (2, "\n", "| Bolt 45 | 145 | 45.50 |")


def test_a_table_across_two_columns_of_text_parts_them(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    lines = [
        "The clay was dug near the mill and then",
        "carried by boat to the basin, where it was",
        "laid in three courses and left to dry for",
    ]
    for column in range(2):
        for row in range(30):
            pdf.say(60 + 250 * column, 120 + 13 * row, lines[row % 3], 10)
            if row < 9:
                pdf.say(60 + 250 * column, 620 + 13 * row, lines[row % 3], 10)
    rows = [["Course", "Depth", "Days"], ["first", "12", "4"], ["second", "14", "6"]]
    put(pdf, rows, (60, 240, 420), 550, 14)
    kinds = [b.kind for b in load(pdf.save(tmp_path)) if isinstance(b, Block)]
    (table,) = tables(tmp_path / "a.pdf")
    assert table.table.rows == tuple(map(tuple, rows))
    assert 0 < kinds.index("table") < len(kinds) - 1


def test_the_rows_of_a_bill_are_its_items_and_its_sum(tmp_path):
    pdf = Sheets()
    pdf.add_page()
    pdf.lines(60, 100, "Brackwater Ltd", "Mill Lane 4", "Wehrheim")
    pdf.lines(350, 100, "Invoice number: 4711", "Date: 3 June 2025", "Customer: 88")
    rows = [["Pos", "Description", "Qty", "Amount"], ["1", "Gasket, upper", "4", "28.00"],
            ["2", "Valve with", "1", "48.00"], ["", "long handle", "", ""],
            ["", "", "Total", "76.00"]]  # fmt: skip
    put(pdf, rows, (60, 100, 350, 450), 220)
    bill = tables(pdf.save(tmp_path))[-1]
    assert bill.text.split("\n")[2:] == [
        "| 1 | Gasket, upper | 4 | 28.00 |",
        "| 2 | Valve with long handle | 1 | 48.00 |",
        "|  |  | Total | 76.00 |",
    ]
