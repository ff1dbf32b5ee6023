import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import NodeWithScore, TextNode

from generation.citations import (
    Citation,
    CitationResolver,
    Quote,
    defuse_markers,
    describe_place,
)
from tests.generation.support import passage

MARKERS = ["[1]", "[2]", "[9]", "[1, 2]", "[1-3]", "【1】", "【2†L1-L4】", "[passage 3]", "[^1]"]
LOOK_ALIKES = ["[x]", "[[", "]]", "[", "]", "[7][1]", "†", ",", "1", "12", "(", ":", "http://a"]
OTHERS = [" ", ".", "a", "`", "```", "\n", "é"]
FRAGMENTS = st.sampled_from(MARKERS + LOOK_ALIKES + OTHERS)
STREAMS = st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join)


def resolve(text: str, passages: int = 3) -> tuple[str, list[int], int]:
    resolver = CitationResolver(range(1, passages + 1))
    shown = resolver.feed(text) + resolver.finish()
    return shown, resolver.cited, resolver.unknown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Yes [1].", "Yes [1]."),
        ("Yes [1, 2].", "Yes [1][2]."),
        ("Yes [1][2].", "Yes [1][2]."),
        ("Yes [1;2] and [3 , 1].", "Yes [1][2] and [3][1]."),
        ("Yes [1-3].", "Yes [1][2][3]."),
        ("Yes [3–1].", "Yes [1][2][3]."),
        ("Yes【1】.", "Yes[1]."),
        ("Yes 【1†L3-L5, 2†L9】.", "Yes [1][2]."),
        ("Yes [Passage 2] [source 1].", "Yes [2] [1]."),
        ("Yes [1 and 2] [passages 1 & 3].", "Yes [1][2] [1][3]."),
        ("Yes [^1].", "Yes [1]."),
        ("Yes [ 01 ].", "Yes [1]."),
        ("Yes [1, 1].", "Yes [1]."),
    ],
)
def test_spellings_of_a_marker_become_one(written, shown):
    assert resolve(written)[0] == shown


BRACKETS = ["[x]", "[sic]", "[text](http://a)", "[2024]", "[]", "[ ]", "- [ ] to do", "[1.5]"]
UNFINISHED = [r"\[1\]", "[1", "[passenger 1]", "[1,]", "f[i]", "[1\n]", "[1a]"]
CODE = ["`a[1]`", "```\na[1]\n```", "``a[1] ` [2]``"]


@pytest.mark.parametrize("text", BRACKETS + UNFINISHED + CODE)
def test_other_brackets_stay_as_they_are(text):
    assert resolve(text) == (text, [], 0)


def test_markers_count_again_after_code():
    assert resolve("`a[1]` holds [2]")[1] == [2]
    assert resolve("```\na[1]\n``` holds [2]")[1] == [2]
    assert resolve("a ` left open\nholds [2]")[1] == [2]


def test_passages_are_cited_in_the_order_of_first_use():
    assert resolve("b [3] a [1] again [3][2]")[1] == [3, 1, 2]


@pytest.mark.parametrize(
    ("written", "shown", "unknown"),
    [
        ("Yes [9].", "Yes.", 1),
        ("Yes [9] no", "Yes no", 1),
        ("Yes[9] no", "Yes no", 1),
        ("Yes[9]no", "Yes no", 1),
        ("Yes [1, 9].", "Yes [1].", 1),
        ("Yes [0].", "Yes.", 1),
        ("Yes [2-5].", "Yes [2][3].", 2),
        ("Yes [9]", "Yes", 1),
    ],
)
def test_passages_that_were_not_given_are_removed_and_counted(written, shown, unknown):
    assert (resolve(written)[0], resolve(written)[2]) == (shown, unknown)


def test_without_passages_every_marker_is_unknown():
    assert resolve("Paris [1] [2].", passages=0) == ("Paris.", [], 2)


@pytest.mark.parametrize(
    "text", ["[1](http://evil)", "[1]: http://evil", "[1] [9]: http://evil", "[1][9](http://evil)"]
)
def test_a_marker_cannot_be_made_a_markdown_link(text):
    shown, cited, _ = resolve(text)
    assert cited == [1]
    assert not re.search(r"\][(:]", shown)


def test_removing_a_marker_does_not_uncover_another():
    assert resolve("[[9]2]") == ("[ 2]", [], 1)
    assert resolve("[1[9]2]") == ("[1 2]", [], 1)


def test_text_is_shown_as_soon_as_it_cannot_be_a_marker():
    resolver = CitationResolver([1, 2, 3])
    assert resolver.feed("Paris [") == "Paris"
    assert resolver.feed("1") == ""
    assert resolver.feed("]") == " [1]"
    assert resolver.feed(" [si") == " [si"
    assert resolver.finish() == ""


def test_a_number_between_those_given_is_unknown_where_its_passage_was_left_out():
    resolver = CitationResolver([1, 3])
    assert resolver.feed("Yes [1-3].") + resolver.finish() == "Yes [1][3]."
    assert (resolver.cited, resolver.unknown) == ([1, 3], 1)


@given(STREAMS, st.data())
def test_where_the_stream_is_split_does_not_matter(text, data):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))
    resolver = CitationResolver([1, 2, 3])
    ends = [*cuts, len(text)]
    shown = "".join(resolver.feed(text[a:b]) for a, b in zip([0, *cuts], ends, strict=True))
    assert (shown + resolver.finish(), resolver.cited, resolver.unknown) == resolve(text)


@given(STREAMS)
def test_little_is_held_back(text):
    resolver = CitationResolver([1, 2, 3])
    for character in text:
        resolver.feed(character)
    held = resolver.finish()
    assert len(held) <= 50


@given(STREAMS.map(lambda text: text.replace("`", "")))
def test_every_marker_that_is_shown_is_a_given_passage(text):
    shown, cited, _ = resolve(text)
    assert {int(n) for n in re.findall(r"\[([0-9]+)\]", shown) if len(n) <= 3} == set(cited)
    assert set(cited) <= {1, 2, 3}


@given(st.text(alphabet=st.characters(exclude_characters="[]【】")))
def test_text_without_brackets_is_untouched(text):
    assert resolve(text) == (text, [], 0)


@given(STREAMS)
def test_defused_text_cites_nothing(text):
    text = text.replace("`", "")
    assert resolve(defuse_markers(text))[1:] == ([], 0)


def test_citation_reads_the_position_of_its_passage():
    node = passage("Water boils.", source="a.pdf", page=4)
    citation = Citation.of(2, node)
    assert citation == Citation(
        2, node.node.node_id, "a.pdf", 4, 10, 22, "Water boils.", place="page 4"
    )


def test_citation_of_a_foreign_node_falls_back_to_what_it_has():
    node = NodeWithScore(node=TextNode(id_="n1", text="Water.", start_char_idx=7))
    assert Citation.of(1, node) == Citation(1, "n1", "n1", None, 7, 13, "Water.")


def test_citations_are_numbered_from_one():
    with pytest.raises(ValueError, match="at least 1"):
        Citation.of(0, passage("Water."))


@pytest.mark.parametrize(
    ("source", "page", "title", "record", "place"),
    [
        ("a.pdf", 3, "Scope", None, "page 3"),
        ("a.pptx", 4, "Pumps", None, "slide 4"),
        ("a.xlsx", 2, "Pumps", None, "sheet Pumps"),
        ("a.md", None, "Scope", None, ""),
        ("a.jsonl", None, "The weir", "p12", "The weir (p12)"),
        ("a.jsonl", None, "", "p12", "p12"),
    ],
)
def test_a_place_is_named_as_a_person_would(source, page, title, record, place):
    assert describe_place(source, page, title, record) == place


def test_quotes_are_ranges_of_the_passage():
    cited = Citation.of(1, passage("Water boils. It is hot."), [(13, 23)])
    assert cited.quotes == (Quote("It is hot.", 13, 23),)
