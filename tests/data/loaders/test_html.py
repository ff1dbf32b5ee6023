"""Web pages as a reader sees them."""

from data.loaders.html import load
from data.splitting import Passage
from tests.data.loaders.support import runs


def read(tmp_path, html: str | bytes) -> list[Passage]:
    path = tmp_path / "a.html"
    path.write_bytes(html.encode() if isinstance(html, str) else html)
    return runs(load(path))


def test_what_is_no_text_is_dropped(tmp_path):
    (section,) = read(
        tmp_path,
        "<html><head><title>T</title><style>x{}</style></head><body><nav>Menu</nav>"
        "<script>bad()</script><!-- note --><p hidden>no</p><p style='display: none'>no</p>"
        "<form><p>Yes &amp; <b>bold</b><br>next</p></form></body></html>",
    )
    assert section.heading_path == ("T",)
    assert section.text == "T\n\nYes & bold\nnext"


def test_headings_make_sections_and_lists_keep_their_depth(tmp_path):
    sections = read(
        tmp_path,
        "<h1>A</h1><p>one</p><h2>B</h2><ul><li>x<ul><li>y</li></ul></li><li><p>z</p><p>w</p></li>"
        "</ul><h1>C</h1><table><tr><th>h</th><th>k</th></tr><tr><td>1</td><td>2</td></tr></table>",
    )
    assert [(s.heading_path, s.text) for s in sections] == [
        (("A",), "A\n\none"),
        (("A", "B"), "B\n\n- x\n  - y\n- z\n  w"),
        (("C",), "C\n\nh | k\n1 | 2"),
    ]


def test_preformatted_text_keeps_its_lines(tmp_path):
    (section,) = read(tmp_path, "<p>Code:</p><pre>if x:\n    y()</pre>")
    assert section.text == "Code:\n\nif x:\n    y()"


def test_a_declared_encoding_is_obeyed(tmp_path):
    page = '<meta charset="iso-8859-1"><p>caf\u00e9</p>'.encode("iso-8859-1")
    assert read(tmp_path, page)[0].text == "caf\u00e9"


def test_tables_that_lay_out_a_page_are_walked_through(tmp_path):
    (section,) = read(tmp_path, "<table><tr><td><h1>Deep</h1><p>text</p></td></tr></table>")
    assert section.text == "Deep\n\ntext"


def test_deep_nesting_does_no_harm(tmp_path):
    sections = read(tmp_path, "<div>" * 5000 + "core" + "</div>" * 5000)
    assert "".join(s.text for s in sections) in {"core", ""}  # lxml may cut what is too deep


def test_a_real_page(shared_data):
    sections = runs(load(shared_data / "documents/example_03.html"))
    assert sections[-1].heading_path == ("Example Document", "Data Table")
    assert "Header 1 | Header 2 | Header 3\nRow 1, Col 1" in sections[-1].text
