"""OpenDocument texts."""

from odf.dc import Creator
from odf.draw import Frame, TextBox
from odf.office import Annotation
from odf.opendocument import OpenDocumentText
from odf.svg import Desc, Title
from odf.table import Table, TableCell, TableRow
from odf.text import H, List, ListItem, P

from data.loaders.odt import load
from tests.data.loaders.support import runs


def test_headings_lists_tables_and_boxes_come_in_order(tmp_path):
    document = OpenDocumentText()
    document.text.addElement(H(outlinelevel=1, text="Birds"))
    document.text.addElement(P(text="They fly."))
    outer, item, inner, leaf = List(), ListItem(), List(), ListItem()
    leaf.addElement(P(text="Robin"))
    inner.addElement(leaf)
    item.addElement(P(text="Songbirds"))
    item.addElement(inner)
    outer.addElement(item)
    document.text.addElement(outer)
    table, row = Table(), TableRow()
    for text in ("Eagle", "2 m"):
        cell = TableCell()
        cell.addElement(P(text=text))
        row.addElement(cell)
    table.addElement(row)
    document.text.addElement(table)
    host, frame, box = P(text="Before"), Frame(width="1cm", height="1cm"), TextBox()
    box.addElement(P(text="Boxed"))
    frame.addElement(box)
    host.addElement(frame)
    document.text.addElement(host)
    document.save(str(tmp_path / "a.odt"))
    (section,) = runs(load(tmp_path / "a.odt"))
    assert section.heading_path == ("Birds",)
    assert section.text == (
        "Birds\n\nThey fly.\n\n- Songbirds\n  - Robin\n\nEagle | 2 m\n\nBefore\n\nBoxed"
    )


def test_a_real_document_has_its_title_above_all(shared_data):
    sections = runs(load(shared_data / "documents/text_document_01.odt"))
    assert sections[0].text == "Title\n\nSubtitle"
    assert sections[-1].heading_path == ("Title", "heading level 1.0", "Heading level 2: B")
    assert "  - bullet list 2.1\n" in sections[2].text


def test_what_is_said_of_pictures_and_who_made_a_comment_are_read(tmp_path):
    document = OpenDocumentText()
    host, frame, remark = P(text="A view."), Frame(width="1cm", height="1cm"), Annotation()
    for element, said in ((Title(), "Pier"), (Desc(), "Two boats at the pier")):
        element.addText(said)
        frame.addElement(element)
    host.addElement(frame)
    remark.addElement(Creator(text="Ada Berg"))
    remark.addElement(P(text="Which pier?"))
    host.addElement(remark)
    document.text.addElement(host)
    alone, said = Frame(width="1cm", height="1cm", anchortype="page"), Desc()
    said.addText("A map of the harbour")
    alone.addElement(said)
    document.text.addElement(alone)
    document.save(str(tmp_path / "a.odt"))
    (section,) = runs(load(tmp_path / "a.odt"))
    assert section.text == (
        "A view.\n\nPicture: Two boats at the pier\n\nComment by Ada Berg: Which pier?\n\n"
        "Picture: A map of the harbour"
    )
