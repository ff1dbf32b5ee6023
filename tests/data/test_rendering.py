"""Documents as a person reads them."""

from data.blocks import Block, Table
from data.rendering import as_markdown, as_text
from data.tables import table_block

BLOCKS = [
    Block("page_header", "Manual 7"),
    Block("heading", "Start", level=2),
    Block("paragraph", "It goes on", 1),
    Block("paragraph", "here.", 2, joint=" "),
    Block("list_item", "- one"),
    Block("list_item", "- two"),
    table_block(Table((("a", "b"), ("1", "2")))),
    Block("code", "x = 1"),
    Block("note", "Note: two\nlines"),
]


def test_text_is_what_passages_are_cut_from():
    assert as_text(BLOCKS) == (
        "Start\n\nIt goes on here.\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "x = 1\n\nNote: two\nlines"
    )


def test_markdown_shows_what_each_block_is():
    assert as_markdown(BLOCKS) == (
        "*Manual 7*\n\n## Start\n\nIt goes on\nhere.\n\n- one\n- two\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```\nx = 1\n```\n\n> Note: two\n> lines\n"
    )
