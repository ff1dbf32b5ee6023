"""PDF text, page by page."""

import pytest
from fpdf import FPDF

from data.errors import UnreadableFile
from data.loaders.pdf import load
from tests.data.loaders.support import runs


def make(path, *pages: str):
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for text in pages:
        pdf.add_page()
        pdf.multi_cell(0, text=text)
    pdf.output(str(path))
    return path


def test_pages_are_numbered_from_one_and_empty_ones_are_left_out(tmp_path):
    path = make(tmp_path / "a.pdf", "Copper conducts.\nWood does not.", "", "Third page.")
    sections = runs(load(path))
    assert [(s.page, s.char_start, s.text) for s in sections] == [
        (1, 0, "Copper conducts.\nWood does not."),
        (3, 0, "Third page."),
    ]


def test_a_file_without_text_names_the_hint(tmp_path):
    with pytest.raises(UnreadableFile, match=r"no text layer.*OCR it first"):
        runs(load(make(tmp_path / "a.pdf", "")))


def test_a_scan_has_no_text_layer(shared_data):
    with pytest.raises(UnreadableFile, match="no text layer"):
        runs(load(shared_data / "documents/ocr_test.pdf"))


def test_an_invisible_text_layer_is_text(shared_data):
    (section,) = runs(load(shared_data / "documents/invisible_text_layer.pdf"))
    assert "Invisible" in section.text


def test_an_encrypted_file_is_refused(shared_data):
    with pytest.raises(UnreadableFile, match="encrypted with a password"):
        runs(load(shared_data / "documents/password.pdf"))


def test_a_truncated_file_is_damaged(tmp_path):
    path = make(tmp_path / "a.pdf", "Some text. " * 300)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 4])
    with pytest.raises(UnreadableFile, match="damaged"):
        runs(load(path))


def test_words_parted_at_a_line_end_are_whole(shared_data):
    text = "".join(s.text for s in runs(load(shared_data / "documents/code_and_formula.pdf")))
    assert "\ufffe" not in text
    assert "sed diam nonumy eirmod" in text


def test_arabic_ligatures_are_in_reading_order(shared_data):
    (section,) = runs(load(shared_data / "documents/right_to_left_01.pdf"))
    lam_alef = "\u0627\u0644\u0625\u0646\u062a\u0627\u062c\u064a\u0629"  # "productivity"
    assert lam_alef in section.text
    assert "\u0627\u0625\u0644" not in section.text
