"""Web pages as a reader sees them."""

from data.blocks import Block
from data.loaders.html import load
from data.splitting import Passage
from data.tables import index_text
from tests.data.loaders.support import reasons, runs


def read(tmp_path, html: str | bytes) -> list[Passage]:
    path = tmp_path / "a.html"
    path.write_bytes(html.encode() if isinstance(html, str) else html)
    return runs(load(path))


def test_what_is_no_text_is_dropped(tmp_path):
    (section,) = read(
        tmp_path,
        "<html><head><title>T</title><style>x{}</style></head><body><nav>Menu</nav>"
        "<script>bad()</script><!-- note --><template><p>no</p></template>"
        "<form><p>Yes &amp; <b>bold</b><br>next</p></form></body></html>",
    )
    assert section.heading_path == ("T",)
    assert section.text == "T\n\nYes & bold\nnext"


def test_a_page_in_utf8_is_read_as_that_whatever_it_declares(tmp_path):
    page = '<meta charset="iso-8859-1"><p>Prüfung – grün</p>'
    assert read(tmp_path, page)[0].text == "Prüfung – grün"
    assert read(tmp_path, page.encode("cp1252"))[0].text == "Prüfung – grün"


def test_headings_make_sections_and_lists_keep_their_depth(tmp_path):
    sections = read(
        tmp_path,
        "<h1>A</h1><p>one</p><h2>B</h2><ul><li>x<ul><li>y</li></ul></li><li><p>z</p><p>w</p></li>"
        "</ul><h1>C</h1><table><tr><th>h</th><th>k</th></tr><tr><td>1</td><td>2</td></tr></table>",
    )
    assert [(s.heading_path, s.text) for s in sections] == [
        (("A",), "A\n\none"),
        (("A", "B"), "B\n\n- x\n  - y\n- z\n  w"),
        (("C",), "C\n\n| h | k |\n| --- | --- |\n| 1 | 2 |"),
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
    assert "Header 1: Row 1, Col 1; Header 2:" in index_text(sections[-1].text)


def test_what_is_folded_away_is_kept(tmp_path):
    (section,) = read(
        tmp_path,
        "<button>When?</button><div hidden>Today.</div>"
        "<details><summary>Who?</summary>Me.</details>"
        "<div style='display:none'>Soon.</div><button type=submit>Send</button>",
    )
    assert section.text == "When?\n\nToday.\n\nWho?\n\nMe.\n\nSoon."


def test_inline_tags_part_no_words_and_breaks_do(tmp_path):
    (section,) = read(
        tmp_path, "<h1>Pay<br>terms</h1><p>un<b>break</b>able 10<sup>6</sup> H<sub>2</sub>O</p>"
    )
    assert section.heading_path == ("Pay terms",)
    assert section.text.endswith("unbreakable 10\u2076 H\u2082O")


def test_spans_are_filled_and_headers_of_two_lines_are_one(tmp_path):
    (section,) = read(
        tmp_path,
        "<table><caption>Budget</caption>"
        "<tr><th rowspan=2>Unit<th colspan=2>2024<tr><th>plan<th>real"
        "<tr><td rowspan=2>A<td>1<td>2<tr><td colspan=2>none</table>",
    )
    assert index_text(section.text) == (
        "Budget\n\nUnit: A; 2024 / plan: 1; 2024 / real: 2\n"
        "Unit: A; 2024 / plan: none; 2024 / real: none"
    )


def test_what_stands_high_in_a_link_is_kept_apart_and_fractions_are_plain(tmp_path):
    (section,) = read(
        tmp_path, "<h1>A</h1><p>x<sup><a href='#n'>4</a></sup> 2<sup>1</sup>/<sub>2</sub> cups</p>"
    )
    assert section.text.endswith("x\u2074 2 1/2 cups")


def test_lists_are_numbered_as_the_page_says(tmp_path):
    (section,) = read(
        tmp_path,
        '<h1>A</h1><ol type="a" start="2"><li>x<ol type="I"><li>y</ol><li value="26">z</ol>',
    )
    assert section.text.endswith("b. x\n  I. y\nz. z")
    (section,) = read(
        tmp_path,
        "<h1>A</h1><ol reversed><li>x<ul><li>in</ul><li>y<li value=1>z</ol>"
        "<ol reversed start=1 type=a><li>p<li>q</ol><ol><li>r</ol>",
    )
    assert section.text.endswith("3. x\n  - in\n2. y\n1. z\na. p\n0. q\n1. r")


def test_deleted_text_is_left_out_with_a_warning(tmp_path):
    (tmp_path / "a.html").write_text("<meta charset=utf-8><p>It costs <del>12</del><ins>15</ins>.")
    loaded = list(load(tmp_path / "a.html"))
    assert [one.text for one in loaded if isinstance(one, Block)] == ["It costs 15."]
    assert reasons(loaded) == ["deleted text is left out (1 place)"]


def test_struck_text_is_left_out_like_deleted_text_wherever_it_stands(tmp_path):
    (tmp_path / "a.html").write_text(
        "<h2>Fares <s>2024</s>2025</h2><p>It costs <s>12</s> <strike>13</strike> 15."
        "<table><tr><th>Day<th>Fare<tr><td>Monday<td><del>4 <s>5</s></del>6</table>"
    )
    loaded = list(load(tmp_path / "a.html"))
    assert [one.text for one in loaded if isinstance(one, Block)] == [
        "Fares 2025",
        "It costs 15.",
        "| Day | Fare |\n| --- | --- |\n| Monday | 6 |",
    ]
    assert reasons(loaded) == ["deleted text is left out (4 places)"]


def test_the_title_of_a_page_stands_above_its_headings_unless_the_first_says_it(tmp_path):
    page = "<title>Ferries of Tavenham</title><h1>{}</h1><p>At nine.</p><h2>Fares</h2><p>Six.</p>"
    above = read(tmp_path, page.format("Times"))
    assert [s.heading_path for s in above] == [
        ("Ferries of Tavenham", "Times"),
        ("Ferries of Tavenham", "Times", "Fares"),
    ]
    same = read(tmp_path, page.format("Ferries  of <i>tavenham</i>!"))
    assert same[0].text == "Ferries of tavenham!\n\nAt nine."


def test_formulas_say_what_stands_high_and_below(tmp_path):
    source = (
        "<p>E <math><semantics><mrow><mfrac><mn>1</mn><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow>"
        "</mfrac><msup><mi>x</mi><mn>2</mn></msup></mrow><annotation>tex</annotation></semantics>"
        "</math></p>"
    )
    assert read(tmp_path, source)[0].text == "E 1/(a+b)x\u00b2"


def test_tables_by_role_and_tables_of_labels_and_values(tmp_path):
    source = (
        "<div role=table><div role=row><b role=columnheader>Site</b><b role=columnheader>Bar</b>"
        "</div><div role=row><b role=cell>Mill</b><b role=cell>16</b></div></div>"
        "<table><tr><th>Keeper</th><td>Ida</td></tr><tr><th>Bin</th><td>A3</td></tr></table>"
    )
    assert read(tmp_path, source)[0].text == (
        "| Site | Bar |\n| --- | --- |\n| Mill | 16 |\n\nKeeper: Ida\nBin: A3"
    )


def test_what_is_said_of_pictures_is_read(tmp_path):
    section, pier = read(
        tmp_path,
        '<p>A view. <img alt="Two boats at the pier"> <img alt="spacer"><img></p>'
        '<table><tr><th>Room</th><th>Lift</th></tr><tr><td>1 <img alt="old"></td>'
        '<td><img alt="yes"></td></tr></table>'
        '<h2>Pier <img alt="An old photo of it"></h2>',
    )
    assert section.text == (
        "A view.\n\nPicture: Two boats at the pier\n\n| Room | Lift |\n| --- | --- |\n| 1 | yes |"
    )
    assert pier.text == "Pier\n\nPicture: An old photo of it"
