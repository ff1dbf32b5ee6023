import base64
import io

import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.blocks import Block
from data.errors import UnreadableFile
from data.loaders.page import Page, Word
from data.page_picture import PagePlace, find_quotes
from data.parsing import Parser


def page(*lines: str, number: int = 1) -> Page:
    """Words of ten points a letter, lines of twenty."""
    words = []
    for row, text in enumerate(lines):
        left = 0.0
        for word in text.split():
            right = left + 10 * len(word)
            words.append(Word(word, left, 20 * row, right, 20 * row + 15, 12))
            left = right + 5
    return Page(number, 600, 800, words)


def test_a_quote_is_boxed_line_by_line():
    found = find_quotes(page("The mill is old. The", "pump leaks. Rain"), ["The pump leaks."])
    assert [box.as_list() for box in found] == [[1, 150, 0, 180, 15], [1, 0, 20, 105, 35]]


def test_signs_case_and_hyphens_do_not_matter():
    shown = page("A di\N{LATIN SMALL LIGATURE FI}cult trans", "port - so it seems")
    assert len(find_quotes(shown, ["**Dificult** transport"])) == 2


def test_of_equal_sentences_the_one_in_the_passage_is_meant():
    shown = page("The pump leaks.", "The mill is old.", "The pump leaks.")
    [box] = find_quotes(shown, ["The pump leaks."], near=[[1, 0, 38, 600, 60]])
    assert box.top == 40


def test_of_a_quote_that_goes_on_behind_the_page_what_stands_here_is_boxed():
    quote = "The harbour master closes the gate at noon and opens it in the evening."
    [head] = find_quotes(page("The harbour master closes the gate"), [quote])
    assert head.left == 0
    assert find_quotes(page("The harbour"), [quote]) == []
    assert find_quotes(page("Another matter"), [quote, ""]) == []


@given(st.lists(st.text("abcä1", min_size=1, max_size=9), min_size=1, max_size=30), st.data())
def test_what_stands_on_a_page_is_found_on_it(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    shown = page(*(" ".join(words[i : i + 5]) for i in range(0, len(words), 5)))
    assert find_quotes(shown, [" ".join(words[start:end])])


@pytest.fixture(scope="module")
def handbook(tmp_path_factory):
    document = FPDF(unit="pt", format=(400, 600))
    for text in ("The gate is opened by two people. Nobody works alone.", "The pump is greased."):
        document.add_page()
        document.set_font("Helvetica", size=14)
        document.multi_cell(300, 20, text)
    path = tmp_path_factory.mktemp("pdf") / "handbook.pdf"
    document.output(str(path))
    return path


@pytest.fixture(scope="module")
def parser():
    with Parser() as shared:
        yield shared


def test_a_page_is_drawn_with_the_quote_boxed(parser, handbook):
    picture = parser.draw(handbook, PagePlace(1, (), ("Nobody works alone.",)))
    assert (picture.page, picture.exact) == (1, True)
    assert (picture.width, picture.height) == (pytest.approx(400, 2), pytest.approx(600, 2))
    image = Image.open(io.BytesIO(base64.b64decode(picture.image)))
    assert image.format == "WEBP"
    left, top, right, bottom = picture.boxes[0]
    scale = image.width / picture.width
    dark = image.convert("L").point(lambda shade: 255 * (shade < 128)).getbbox()
    assert dark[0] < left * scale < right * scale <= dark[2] + scale
    assert dark[1] - 8 * scale < top * scale < bottom * scale < dark[3] + 8 * scale


def test_a_quote_is_looked_for_on_all_pages_of_its_passage(parser, handbook):
    boxes = ((1, 28.0, 28.0, 300.0, 60.0), (2, 28.0, 28.0, 200.0, 50.0))
    assert parser.draw(handbook, PagePlace(1, boxes, ("The pump is greased.",))).page == 2
    lost = parser.draw(handbook, PagePlace(1, boxes, ("This stands nowhere in it at all.",)))
    assert (lost.page, lost.exact, lost.boxes) == (1, False, (boxes[0][1:],))
    assert parser.draw(handbook, PagePlace(2)).boxes == ()


def test_the_parser_goes_on_reading_after_it_has_drawn(parser, handbook):
    assert [one.page for one in parser.parse(handbook) if isinstance(one, Block)] == [1, 2]


def test_what_cannot_be_drawn_is_refused_with_its_reason(parser, handbook, tmp_path):
    with pytest.raises(UnreadableFile, match="no page 3"):
        parser.draw(handbook, PagePlace(3))
    (tmp_path / "notes.md").write_text("# Notes")
    with pytest.raises(UnreadableFile, match="only a PDF"):
        parser.draw(tmp_path / "notes.md", PagePlace(1))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing of the kind")
    with pytest.raises(UnreadableFile, match="damaged"):
        parser.draw(tmp_path / "broken.pdf", PagePlace(1))
