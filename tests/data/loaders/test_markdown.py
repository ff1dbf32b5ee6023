"""Markdown sections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.blocks import document_text
from data.loaders.markdown import load
from tests.data.loaders.support import runs


def read(tmp_path, text: str):
    path = tmp_path / "a.md"
    path.write_text(text, encoding="utf-8")
    return runs(load(path))


def test_both_kinds_of_headings_nest(tmp_path):
    sections = read(
        tmp_path, "intro\n\nTop\n===\n\none\n\n## *Deep* [link](x) ##\ntwo\n# Next\nthree"
    )
    assert [(s.heading_path, s.text) for s in sections] == [
        ((), "intro"),
        (("Top",), "Top\n===\n\none"),
        (("Top", "Deep link"), "## *Deep* [link](x) ##\ntwo"),
        (("Next",), "# Next\nthree"),
    ]


def test_headings_in_fenced_code_are_code(tmp_path):
    text = "# A\n```sh\n# no\n~~~\n```\n## B\n~~~~\n# no\n~~~\n~~~~\nend"
    assert [s.heading_path for s in read(tmp_path, text)] == [("A",), ("A", "B")]


def test_a_heading_right_above_a_deeper_one_shares_its_section(tmp_path):
    (section,) = read(tmp_path, "# A\n\n## B\n\ntext")
    assert section.heading_path == ("A", "B")


def test_rules_and_lists_make_no_headings(tmp_path):
    sections = read(tmp_path, "- item\n---\n\n---\n#hashtag\n| a |\n---\n")
    assert [s.heading_path for s in sections] == [()]


LINES = st.lists(
    st.sampled_from(["# A", "## B", "text", "===", "---", "```", "", "    # x", "~~~", "- i", "#"])
)


@given(lines=LINES)
def test_blocks_cover_the_source_exactly(tmp_path_factory, lines):
    text = "\n".join(lines)
    path = tmp_path_factory.getbasetemp() / "law.md"
    path.write_text(text, encoding="utf-8")
    assert document_text(load(path)) == text.rstrip()


def test_a_table_is_one_and_keeps_its_source(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(
        "Before:\n\n| Tag | Rate |\n|:--|--:|\n| V-1 | 3 \\| 4 |\n| V-2 |\n\nafter | all\n"
    )
    (table,) = [block for block in load(path) if block.table]
    assert table.table.rows == (("Tag", "Rate"), ("V-1", "3 | 4"), ("V-2", ""))
    assert table.text == "| Tag | Rate |\n|:--|--:|\n| V-1 | 3 \\| 4 |\n| V-2 |"


def test_front_matter_is_no_text_but_names_the_document(tmp_path):
    source = (
        '---\ntitle: "Pump log"\ndate: 2024-05-01\ntags:\n  - pumps\n  - north\n---\n\nIt ran.\n'
    )
    (section,) = read(tmp_path, source)
    assert section.heading_path == ("Pump log",)
    assert section.text == "Pump log\n\ndate: 2024-05-01; tags: pumps, north\n\nIt ran."
    (other,) = read(tmp_path, "---\n\nno fields here\n\n---\n\ntext")
    assert other.text.startswith("---\n\nno fields")


def test_fenced_code_is_code_and_items_keep_what_is_below_them(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("```py\n- no item\n\n# no heading\n```\n- one\n  more\n\n  still one\n- two\n")
    assert [(b.kind, b.text) for b in load(path)] == [
        ("code", "```py\n- no item\n\n# no heading\n```"),
        ("list_item", "- one\n  more\n\n  still one"),
        ("list_item", "- two"),
    ]


def test_a_real_file(shared_data):
    sections = runs(load(shared_data / "documents/wiki.md"))
    assert sections[0].heading_path[-1] == "IBM"
    assert len(sections) == 3


@pytest.mark.parametrize(
    "front",
    [
        '+++\ntitle = "Tides"\nauthor = "Mia"\ntags = ["a", "b"]\n+++\n',
        "---\ntitle: Tides\nauthor:\n  name: Mia\n  unit: harbour\nabout: >\n  two\n  lines\n---\n",
    ],
)
def test_front_matter_of_any_shape_is_metadata(tmp_path, front):
    (tmp_path / "a.md").write_text(front + "\nText.\n")
    title, fields, *rest = load(tmp_path / "a.md")
    assert (title.kind, title.text, fields.kind) == ("heading", "Tides", "note")
    assert "Mia" in fields.text
    assert ("two lines" in fields.text) == ("about" in front)
    assert [block.text for block in rest] == ["Text."]
