import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from ui.passage import render

TABLE = "## Pumps\n\n| Pump | Flow |\n|---|---|\n| P-1 | 25 |\n| P-2 | 11 |\n\n- Close it.\n- Go."


def test_headings_tables_and_lists_are_shown_as_such():
    html = render(TABLE, [])
    assert '<h4 dir="auto">Pumps</h4>' in html
    assert html.count("<th dir=auto>") == 2
    assert html.count("<td dir=auto>") == 4
    assert html.count("<li dir=") == 2
    assert "|" not in html
    assert "#" not in html


def test_exactly_what_is_quoted_is_marked():
    text = "The mill is old. The pump leaks. Rain falls."
    html = render(text, [(17, 32)])
    assert re.findall(r"<mark[^>]*>(.*?)</mark>", html) == ["The pump leaks."]
    assert html.count('id="marked"') == 1


def test_a_row_is_marked_cell_by_cell():
    start = TABLE.index("| P-2")
    html = render(TABLE, [(start, start + len("| P-2 | 11 |"))])
    assert re.findall(r"<mark[^>]*>(.*?)</mark>", html) == ["P-2", "11"]


def test_words_of_others_are_no_html():
    html = render("<img src=x onerror=alert(1)> & more of it", [(0, 5)])
    assert "<img" not in html


@given(
    st.text("ab <&|-#*`\n.\"'", max_size=120),
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, 130)), max_size=4),
)
def test_no_letter_is_lost_whatever_is_marked(text, marks):
    shown = unescape(re.sub(r"<[^>]*>", "", render(text, marks)))
    assert re.findall("[ab]", shown) == re.findall("[ab]", text)
