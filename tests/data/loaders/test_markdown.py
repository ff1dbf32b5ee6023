"""Markdown sections."""

from hypothesis import given
from hypothesis import strategies as st

from data.loaders.markdown import _headings, load
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
        ((), "intro\n\n"),
        (("Top",), "Top\n===\n\none\n\n"),
        (("Top", "Deep link"), "## *Deep* [link](x) ##\ntwo\n"),
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
def test_sections_cover_the_source_exactly(tmp_path_factory, lines):
    text = "\n".join(lines)
    path = tmp_path_factory.getbasetemp() / "law.md"
    path.write_text(text, encoding="utf-8")
    sections = runs(load(path))
    assert "".join(s.text for s in sections) == text
    assert [text[s.char_start : s.char_end] for s in sections] == [s.text for s in sections]
    offsets = [offset for offset, _ in _headings(text)]
    assert offsets == sorted(set(offsets))


def test_a_real_file(shared_data):
    sections = runs(load(shared_data / "documents/wiki.md"))
    assert sections[0].heading_path[-1] == "IBM"
    assert len(sections) == 3
