"""Slides."""

from io import BytesIO

import pptx
from PIL import Image
from pptx.chart.data import XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
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


def test_numbers_of_lists_and_values_of_charts_are_as_shown(tmp_path):
    from lxml import etree
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    frame = slide.placeholders[1].text_frame
    names = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
    for text, level, form in (
        ("Open", 0, "arabicPeriod"), ("Slowly", 1, "alphaLcParenR"), ("Wait", 1, "alphaLcParenR"),
        ("Close", 0, "arabicPeriod"), ("Never force it", 0, ""),
    ):  # fmt: skip
        each = frame.add_paragraph()
        each.text, each.level = text, level
        if form:
            etree.SubElement(each._p.get_or_add_pPr(), f"{names}buAutoNum").set("type", form)
    data = CategoryChartData(number_format="0.0%")
    data.categories = ["Spring"]
    data.add_series("Share", (0.25,))
    kind = XL_CHART_TYPE.COLUMN_CLUSTERED
    slide.shapes.add_chart(kind, 0, 0, Inches(2), Inches(2), data)
    deck.save(tmp_path / "a.pptx")
    text = "\n".join(each.text for each in runs(load(tmp_path / "a.pptx")))
    assert "1. Open\n  a) Slowly\n  b) Wait\n2. Close\n- Never force it" in text
    assert "| Spring | 25.0% |" in text


def test_the_points_of_a_chart_are_rows(tmp_path):
    points = XyChartData()
    series = points.add_series("Head")
    for place, value in ((2, 7.5), (4, 3.25)):
        series.add_data_point(place, value)
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    size = (Inches(1), Inches(1), Inches(4), Inches(3))
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *size, points)
    deck.save(str(tmp_path / "a.pptx"))
    (section,) = runs(load(tmp_path / "a.pptx"))
    assert section.text.endswith("|  | Head |\n| --- | --- |\n| 2 | 7.5 |\n| 4 | 3.25 |")


def test_what_is_said_of_pictures_and_who_made_a_comment_are_read(tmp_path):
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    picture = BytesIO()
    Image.new("1", (2, 2)).save(picture, "PNG")
    shape = slide.shapes.add_picture(picture, 0, 0)
    shape._element.nvPicPr.cNvPr.set("descr", "Two boats at the pier")
    main = "http://schemas.openxmlformats.org/presentationml/2006/main"
    for part, name, xml in (
        (
            deck.part,
            "commentAuthors",
            f'<p:cmAuthorLst xmlns:p="{main}"><p:cmAuthor id="7" name="Ada Berg"/></p:cmAuthorLst>',
        ),
        (
            slide.part,
            "comments",
            f'<p:cmLst xmlns:p="{main}"><p:cm authorId="7"><p:text>Why?</p:text></p:cm></p:cmLst>',
        ),
    ):
        kind = f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{name}"
        uri = PackURI(f"/ppt/{name}.xml")
        part.relate_to(Part(uri, "application/xml", deck.part.package, xml.encode()), kind)
    deck.save(str(tmp_path / "a.pptx"))
    (section,) = runs(load(tmp_path / "a.pptx"))
    assert section.text == "Picture: Two boats at the pier\n\nComment by Ada Berg: Why?"
