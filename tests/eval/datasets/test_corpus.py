"""Corpora are read a passage at a time, and held to what was judged."""

import pytest

from eval.datasets.corpus import check, passages
from eval.errors import DatasetError

LINES = [
    '{"_id": "p1", "title": "Cats", "text": "They purr."}',
    '{"id": 2, "title": null, "text": "Größe"}',
    "",
    '{"_id": "p3", "text": "No title at all."}',
]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text("\ufeff" + "\n".join(LINES), encoding="utf-8")
    return path


def test_passages_keep_file_order_and_may_lack_a_title(corpus):
    assert list(passages(corpus)) == [
        ("p1", "Cats", "They purr."),
        ("2", "", "Größe"),
        ("p3", "", "No title at all."),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("7", "no JSON object|not a JSON object"),
        ('{"_id": "x"}', "no text"),
        ('{"_id": "x", "text": 1}', "no text"),
        ('{"_id": "", "text": ""}', "no _id"),
        ('{"_id": true, "text": ""}', "no _id"),
    ],
)
def test_a_broken_line_is_named(corpus, line, reason):
    with corpus.open("a") as lines:
        lines.write("\n" + line)
    with pytest.raises(DatasetError, match=rf"corpus.jsonl line 5 .*({reason})"):
        list(passages(corpus))


def test_the_size_is_told_where_nothing_is_missing(corpus):
    assert check("cats", corpus, {"q": {"p1": 1, "2": 2, "judged and not relevant": 0}}) == 3


def test_missing_gold_is_counted_and_shown(corpus):
    qrels = {"q": {"p1": 1, "z": 1}, "r": {"z": 1, "y": 3}}
    with pytest.raises(DatasetError, match=r"cats lacks 2 of 3 documents .*no passage 'y'"):
        check("cats", corpus, qrels)


def test_passages_count_as_the_document_they_are_a_part_of(corpus):
    check("cats", corpus, {"q": {"book": 1}}, {"p1": "book"})
    with pytest.raises(DatasetError, match="'p1'"):
        check("cats", corpus, {"q": {"p1": 1}}, {"p1": "book"})


def test_an_id_that_stands_twice_is_refused(corpus):
    with corpus.open("a") as lines:
        lines.write("\n" + LINES[0])
    with pytest.raises(DatasetError, match="two passages with the id 'p1'"):
        check("cats", corpus, {})
