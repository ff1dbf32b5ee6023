"""Word documents."""

from io import BytesIO

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsmap, qn
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from data.blocks import document_text
from data.errors import UnreadableFile
from data.loaders.docx import load
from tests.data.loaders.support import reasons, runs


def test_headings_lists_and_tables_come_in_document_order(tmp_path):
    document = docx.Document()
    document.add_heading("Rivers", 0)
    document.add_heading("Sources", 1)
    document.add_paragraph("Springs feed them.")
    document.add_paragraph("Rain", style="List Bullet")
    document.add_paragraph("Melting snow", style="List Bullet 2")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ["River", "km", "Rhine", "1233"], strict=True):
        cell.text = text
    document.add_heading("Mouths", 1)
    document.add_paragraph("Deltas.")
    document.save(str(tmp_path / "a.docx"))
    sections = runs(load(tmp_path / "a.docx"))
    assert [(s.heading_path, s.text) for s in sections] == [
        (
            ("Rivers", "Sources"),
            "Rivers\n\nSources\n\nSprings feed them.\n\n- Rain\n  - Melting snow\n\n"
            "| River | km |\n| --- | --- |\n| Rhine | 1233 |",
        ),
        (("Rivers", "Mouths"), "Mouths\n\nDeltas."),
    ]
    whole = document_text(load(tmp_path / "a.docx"))
    assert all(whole[s.char_start : s.char_end] == s.text for s in sections)


def test_inserted_text_counts_and_deleted_text_does_not(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("Water is ")
    for tag, text, content in (("w:del", "dry", "w:delText"), ("w:ins", "wet", "w:t")):
        change, run, leaf = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(content)
        leaf.text = text
        run.append(leaf)
        change.append(run)
        paragraph._p.append(change)
    document.save(str(tmp_path / "a.docx"))
    assert [s.text for s in runs(load(tmp_path / "a.docx"))] == ["Water is wet"]


def test_a_style_with_an_outline_level_is_a_heading(tmp_path):
    document = docx.Document()
    style = document.styles.add_style("Chapter", 1)
    level = OxmlElement("w:outlineLvl")
    level.set(qn("w:val"), "0")
    style.element.get_or_add_pPr().append(level)
    document.add_paragraph("Tides", style="Chapter")
    document.add_paragraph("The moon pulls.")
    document.save(str(tmp_path / "a.docx"))
    assert [s.heading_path for s in runs(load(tmp_path / "a.docx"))] == [("Tides",)]


def test_real_lists_keep_their_depth(shared_data):
    sections = runs(load(shared_data / "documents/docx_lists.docx"))
    text = next(s.text for s in sections if s.heading_path[-1] == "Test 5:")
    assert "- List item 1\n  - List item 1.1\n    - List item 1.1.1\n- List item 3" in text


def test_real_headings_nest(shared_data):
    sections = runs(load(shared_data / "documents/unit_test_headers.docx"))
    assert ("Test Document", "Section 1", "Section 1.2", "Section 1.2.3") in {
        s.heading_path for s in sections
    }


def test_merged_cells_stand_in_every_place(shared_data):
    text = "".join(s.text for s in runs(load(shared_data / "documents/word_tables.docx")))
    assert "| Cell 1.0 | Merged Cell 1.1 1.2 | Merged Cell 1.1 1.2 |\n" in text


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "a.docx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UnreadableFile, match="damaged"):
        runs(load(tmp_path / "a.docx"))


def test_low_characters_page_feet_and_tables_in_cells(tmp_path):
    document = docx.Document()
    document.sections[0].footer.paragraphs[0].text = "Page 3 of 9"
    paragraph = document.add_paragraph("H")
    paragraph.add_run("2").font.subscript = True
    paragraph.add_run("O")
    outer = document.add_table(rows=2, cols=2)
    for at, text in enumerate(("Site", "Details", "Quay", "see inside")):
        outer.cell(at // 2, at % 2).text = text
    inner = outer.cell(1, 1).add_table(rows=2, cols=2)
    for at, text in enumerate(("Depth", "Berths", "7.5 m", "12")):
        inner.cell(at // 2, at % 2).text = text
    document.save(tmp_path / "a.docx")
    blocks = list(load(tmp_path / "a.docx"))
    text = document_text(blocks)
    assert text.startswith("H\u2082O")
    assert "Page 3" not in text
    assert [block.table.title for block in blocks if block.table] == ["", "Quay"]


def test_ticks_choices_symbols_and_roots_are_shown(tmp_path):
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    m = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    field = '<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{}</w:ffData></w:fldChar></w:r>'
    source = (
        f'<w:p xmlns:w="{w}" xmlns:m="{m}">'
        + field.format('<w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox>')
        + field.format('<w:checkBox><w:default w:val="0"/></w:checkBox>')
        + field.format(
            '<w:ddList><w:result w:val="1"/><w:listEntry w:val="red"/><w:listEntry w:val="blue"/>'
            "</w:ddList>"
        )
        + '<w:r><w:ptab w:alignment="right"/><w:sym w:font="Wingdings" w:char="F0FE"/>'
        '<w:sym w:font="Symbol" w:char="F06D"/><w:t>m </w:t></w:r><m:rad><m:deg><m:r><m:t>3</m:t>'
        "</m:r></m:deg><m:e><m:r><m:t>27</m:t></m:r></m:e></m:rad></w:p>"
    )
    document = docx.Document()
    document.element.body.insert(0, parse_xml(source))
    document.save(str(tmp_path / "a.docx"))
    (block,) = load(tmp_path / "a.docx")
    assert block.text == "\u2612\u2610blue\t\u2611\u03bcm \u00b3\u221a(27)"


def test_what_is_said_of_pictures_and_who_made_a_comment_are_read(tmp_path):
    document = docx.Document()
    run = document.add_paragraph("A view.").add_run()
    for said in ("Two boats at the pier", "image 1 of.png", "logo"):
        picture = BytesIO()
        Image.new("1", (2, 2)).save(picture, "PNG")
        run.add_picture(picture)._inline.docPr.set("descr", said)
    document.add_comment(run, "Which pier?", author="Ada Berg")
    document.save(str(tmp_path / "a.docx"))
    (section,) = runs(load(tmp_path / "a.docx"))
    assert section.text == (
        "A view.\n\nPicture: Two boats at the pier\n\nComment by Ada Berg: Which pier?"
    )


def test_charts_are_tables_and_text_boxes_in_cells_are_read(tmp_path):
    values = CategoryChartData()
    values.categories = ["May", "June"]
    values.add_series("Bikes", (410, 522))
    document = docx.Document()
    xml = values.xml_bytes(XL_CHART_TYPE.COLUMN_CLUSTERED)
    part = Part(PackURI("/word/charts/chart1.xml"), "application/xml", xml, document.part.package)
    key = document.part.relate_to(part, f"{nsmap['r']}/chart")
    document.add_paragraph("Rented:")._p.append(
        parse_xml(
            '<w:r xmlns:w="{w}"><w:drawing><c:chart xmlns:c="urn:c" xmlns:r="{r}" r:id="{key}"/>'
            "</w:drawing></w:r>".format(**nsmap, key=key)
        )
    )
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Valve", "new"
    table.cell(0, 1)._tc.append(
        parse_xml(
            '<w:p xmlns:w="{w}"><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p>'
            "</w:txbxContent></w:pict></w:r></w:p>".format(**nsmap)
        )
    )
    document.save(str(tmp_path / "a.docx"))
    assert document_text(load(tmp_path / "a.docx")) == (
        "Rented:\n\n|  | Bikes |\n| --- | --- |\n| May | 410 |\n| June | 522 |\n\n"
        "Valve | new\n\nBoxed"
    )


def test_a_chart_that_cannot_be_read_is_told(tmp_path):
    document = docx.Document()
    document.add_paragraph("Rented:")._p.append(
        parse_xml('<w:r xmlns:w="{w}"><c:chart xmlns:c="urn:c"/></w:r>'.format(**nsmap))
    )
    document.save(str(tmp_path / "a.docx"))
    assert reasons(load(tmp_path / "a.docx")) == [
        "a chart that cannot be read is left out (1 place)"
    ]
