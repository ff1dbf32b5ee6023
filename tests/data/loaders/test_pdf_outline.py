"""Bookmarks as heading paths."""

from fpdf import FPDF

from data.blocks import document_text
from data.loaders.pdf import load
from tests.data.loaders.support import runs


def test_pages_are_cut_at_the_headings_that_bookmarks_name(tmp_path):
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pages = [
        [
            (0, "Heat", "1 Heat"),
            (None, "", "It flows."),
            (1, "Cold", "1.1  Cold"),
            (None, "", "Ice."),
        ],
        [(None, "", "More ice."), (0, "Light", "Light"), (None, "", "It shines.")],
    ]
    for lines in pages:
        pdf.add_page()
        for level, title, shown in lines:
            if level is not None:
                pdf.start_section(title, level=level)
            pdf.cell(text=shown, new_x="LMARGIN", new_y="NEXT")
    pdf.output(str(tmp_path / "a.pdf"))
    sections = runs(load(tmp_path / "a.pdf"))
    assert [(s.page, s.heading_path, s.text) for s in sections] == [
        (1, ("1 Heat",), "1 Heat\n\nIt flows."),
        (1, ("1 Heat", "1.1 Cold"), "1.1 Cold\n\nIce."),
        (2, ("1 Heat", "1.1 Cold"), "More ice."),
        (2, ("Light",), "Light\n\nIt shines."),
    ]
    text = document_text(load(tmp_path / "a.pdf"))
    assert all(text[s.char_start : s.char_end] == s.text for s in sections)


def test_a_bookmark_whose_title_is_not_on_the_page_counts_from_its_top(tmp_path):
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text="Before.")
    pdf.add_page()
    pdf.start_section("Elsewhere")
    pdf.cell(text="Behind.")
    pdf.output(str(tmp_path / "a.pdf"))
    assert [s.heading_path for s in runs(load(tmp_path / "a.pdf"))] == [(), ("Elsewhere",)]
