"""Slides."""

import pptx
from pptx.util import Inches

from data.loaders.pptx import load
from tests.data.loaders.support import runs


def test_slides_are_pages_with_title_text_table_and_notes(tmp_path):
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Metals"
    slide.placeholders[1].text = "They conduct.\nThey shine."
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Iron", "Fe"
    slide.notes_slide.notes_text_frame.text = "Show the sample."
    other = deck.slides.add_slide(deck.slide_layouts[6])
    other.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(1)).text_frame.text = "Alone."
    deck.save(str(tmp_path / "a.pptx"))
    assert [(s.page, s.heading_path, s.text) for s in runs(load(tmp_path / "a.pptx"))] == [
        (
            1,
            ("Metals",),
            "Metals\n\n- They conduct.\n- They shine.\n\nIron | Fe\n\nNotes: Show the sample.",
        ),
        (2, (), "Alone."),
    ]


def test_real_notes_and_groups_are_read(shared_data):
    sections = runs(load(shared_data / "documents/powerpoint_sample.pptx"))
    assert [s.page for s in sections] == [1, 2, 3]
    assert "Notes: Some notes on the second slide." in sections[1].text


def test_a_title_with_odd_characters_becomes_one_line(shared_data):
    (section,) = runs(load(shared_data / "documents/powerpoint_bad_text.pptx"))
    assert "\x0b" not in section.text
    assert "\n" not in section.heading_path[0]
