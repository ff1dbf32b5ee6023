"""The tables of the documentation say what the rows say."""

import pytest

from data.components import LOADERS
from rag_app.remote.operations import CHAT_OPERATIONS, OPERATIONS
from rag_app.settings import recipes as names
from retrieval.encoders.registry import built_in
from tests.conftest import REPOSITORY
from tools.docs_tables import cells, renewed


@pytest.mark.parametrize("page", ["api", "documents", "retrievers", "recipes"])
def test_the_tables_are_made_from_the_rows(page):
    text = (REPOSITORY / "docs" / f"{page}.md").read_text("utf-8")
    assert renewed(text) == text, "run tools/docs_tables.py"


def test_every_row_is_on_its_page():
    for page, rows in (
        ("documents", [*LOADERS]),
        (
            "api",
            [f"{row.method} /api{row.path}" for row in (*OPERATIONS, *CHAT_OPERATIONS)],
        ),
        ("retrievers", [*built_in()]),
        ("recipes", names()),
    ):
        text = (REPOSITORY / "docs" / f"{page}.md").read_text("utf-8")
        table = text.partition("<!-- table")[2].partition("<!-- end")[0]
        assert sorted(cells(table)) == sorted(rows)


def test_what_is_wrong_on_a_page_is_written_anew_and_hand_written_columns_stay():
    text = (REPOSITORY / "docs" / "recipes.md").read_text("utf-8")
    wrong = text.replace("| 36.9 |", "| 99.9 |")
    assert wrong != text
    assert renewed(wrong) == text
    own = text.replace("dense → QwenRerank of 100", "my words")
    assert "my words" in renewed(own)
