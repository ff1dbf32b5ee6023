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
    wrong = [fact for fact in drawn[name].facts if not right(fact.__dict__, tables)]
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
