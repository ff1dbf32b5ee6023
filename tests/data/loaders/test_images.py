"""Scans and pictures, read by the real models of rapidocr."""

import sys

import pypdfium2
import pytest
from fpdf import FPDF
from PIL import Image

from data.blocks import Block, LoadWarning, Scan
from data.errors import UnreadableFile
from data.limits import Limits
from data.loaders import images, pdf
from data.loaders.content import check
from tests.data.loaders.pdfs import Sheets


def picture(lines, *, size=(420, 200), dpi=150, **more):
    """A picture of a small page with lines of text at (x, y)."""
    sheet = FPDF("landscape", "pt", (size[1], size[0]))
    sheet.set_auto_page_break(False)
    sheet.add_page()
    sheet.set_font("helvetica", size=12)
    for x, y, text in lines:
        sheet.text(x, y, text)
    for rule in more.get("rules", ()):
        sheet.line(*rule)
    page = pypdfium2.PdfDocument(bytes(sheet.output()))[0]
    return page.render(scale=dpi / 72).to_pil().convert("RGB")


def texts(path, loader=images):
    return [b.text for b in loader.load(path) if isinstance(b, Block)]


TWO = [(30, 40, "The upper gasket is green"), (30, 100, "The lower one is made of cork")]


def test_a_tilted_scan_is_read_line_by_line_with_boxes(tmp_path):
    image = picture(TWO).rotate(1.0, Image.Resampling.BICUBIC, fillcolor="white")
    image.save(tmp_path / "a.png", dpi=(150, 150))
    upper, lower = (b for b in images.load(tmp_path / "a.png") if isinstance(b, Block))
    assert (upper.text, lower.text) == tuple(text for _, _, text in TWO)
    assert upper.page == 1
    assert 20 < upper.boxes[0].left < 40
    assert upper.boxes[0].bottom < lower.boxes[0].top


def test_a_photo_is_turned_as_the_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture(TWO).rotate(90, expand=True)
    turned.save(tmp_path / "a.jpg", exif=exif)
    assert texts(tmp_path / "a.jpg") == [text for _, _, text in TWO]


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_page_that_was_scanned_sideways_or_upside_down_is_set_upright(tmp_path, degrees):
    picture(TWO).rotate(degrees, expand=True).save(tmp_path / "a.png")
    assert texts(tmp_path / "a.png") == [text for _, _, text in TWO]


def test_every_page_of_a_tiff_is_read(tmp_path):
    first, second = (picture([(30, 60, f"Sheet number {n} of the plan")]) for n in ("one", "two"))
    first.convert("1").save(tmp_path / "a.tiff", save_all=True, append_images=[second.convert("1")])
    found = [(b.page, b.text) for b in images.load(tmp_path / "a.tiff") if isinstance(b, Block)]
    assert found == [(1, "Sheet number one of the plan"), (2, "Sheet number two of the plan")]


def test_a_ruled_table_in_a_scan_is_a_table(tmp_path):
    words = [["Pump", "Flow", "Head"], ["North", "31", "4.5"], ["South", "72", "8.25"]]
    lines = [(40 + 100 * c, 45 + 30 * r, words[r][c]) for r in range(3) for c in range(3)]
    rules = [(30, 25 + 30 * r, 330, 25 + 30 * r) for r in range(4)]
    rules += [(30 + 100 * c, 25, 30 + 100 * c, 115) for c in range(4)]
    image = picture(lines, rules=rules).rotate(0.7, Image.Resampling.BICUBIC, fillcolor="white")
    image.save(tmp_path / "a.png", dpi=(150, 150))
    (block,) = (b for b in images.load(tmp_path / "a.png") if isinstance(b, Block))
    assert block.table is not None
    assert block.table.rows == tuple(tuple(row) for row in words)


def test_the_one_scanned_page_of_a_document_is_read(tmp_path):
    sheets = Sheets()
    sheets.add_page()
    sheets.say(60, 60, "This page has text of its own.")
    sheets.add_page()
    sheets.image(picture(TWO), 0, 0, 595)
    path = sheets.save(tmp_path)
    found = list(pdf.load(path))
    assert [one for one in found if isinstance(one, Scan)] == [Scan(2, 2)]
    assert [(b.page, b.text) for b in found if isinstance(b, Block)][1:] == [
        (2, text) for _, _, text in TWO
    ]


def test_a_picture_without_text_is_a_warning(tmp_path):
    Image.new("RGB", (200, 200), "white").save(tmp_path / "a.png")
    assert LoadWarning("no text was found in this picture", 1) in list(
        images.load(tmp_path / "a.png")
    )


def test_without_the_extra_the_page_and_the_command_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    sheets = Sheets()
    sheets.add_page()
    sheets.say(60, 60, "This page has text of its own.")
    sheets.add_page()
    sheets.image(picture(TWO), 0, 0, 595)
    (warning,) = (one for one in pdf.load(sheets.save(tmp_path)) if isinstance(one, LoadWarning))
    assert warning.page == 2
    assert "pip install 'rag-app[ocr]'" in warning.reason
    picture(TWO).save(tmp_path / "a.png")
    with pytest.raises(UnreadableFile, match=r"a\.png.*rag-app\[ocr\]"):
        list(images.load(tmp_path / "a.png"))


def test_damaged_and_huge_pictures_are_refused(tmp_path):
    picture(TWO).save(tmp_path / "a.png")
    raw = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UnreadableFile, match="damaged"):
        list(images.load(tmp_path / "a.png"))
    Image.new("1", (20_000, 20_000)).save(tmp_path / "b.png")
    with pytest.raises(UnreadableFile, match="20000 by 20000 pixels"):
        list(images.load(tmp_path / "b.png"))


def test_a_text_that_is_called_a_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnreadableFile, match="content is plain text"):
        check(tmp_path / "a.png", "a.png", "images", Limits())
