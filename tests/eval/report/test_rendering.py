"""Markdown says what it is given, whatever that looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from eval.report.document import Report, Section, Table, Text, Verdict
from eval.report.rendering import escaped, html, markdown, table

READER = MarkdownIt("commonmark", {"linkify": True}).enable(["table", "strikethrough"])
TRAPS = st.sampled_from([*"\\`*_{}[]()#+-.!|~$<>&:=1 \t\na", "](http://x)", "&lt;", "1. "])


def words(tokens):
    """The text of rendered Markdown, and the kinds of what is in it."""
    text, kinds = [], set()
    for token in tokens:
        if token.children:
            inner, found = words(token.children)
            text.append(inner)
            kinds |= found
        elif token.type in {"text", "code_inline", "html_inline", "html_block", "fence"}:
            text.append(token.content)
        kinds.add(token.type)
    return "".join(text), kinds


@given(st.lists(TRAPS, min_size=1, max_size=12).map("".join))
def test_any_text_is_shown_as_it_is(text):
    shown, kinds = words(READER.parse(escaped(text)))
    assert shown == " ".join(text.split())
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}


@given(st.lists(st.lists(TRAPS, max_size=8).map("".join), min_size=2, max_size=2))
def test_any_cell_stays_one_cell(cells):
    shown = READER.parse(table(Table("caption", ["a", "b"], [cells, cells])))
    assert [token.type for token in shown].count("td_open") == 4
    assert "link_open" not in words(shown)[1]


def test_names_stay_readable_as_written():
    assert escaped("closed_book#2 over hybrid@reasonir-8b+rewrite: +4.2 (3.1 to 5.3)") == (
        "closed_book#2 over hybrid@reasonir-8b+rewrite: +4.2 (3.1 to 5.3)"
    )


@pytest.mark.parametrize("write", [html, markdown])
def test_sections_without_blocks_are_left_out(write):
    shown = write(
        Report("title", "kicker", Verdict("so it is"), [
            Section("full", [Text("said", "warning")]), Section("hollow", []),
        ])
    )  # fmt: skip
    assert "full" in shown
    assert "said" in shown
    assert "hollow" not in shown
