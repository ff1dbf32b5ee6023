"""Passages that are cut already."""

import json

import pytest

from data.blocks import document_text
from data.errors import UnreadableFile
from data.loaders.jsonl import load
from tests.data.loaders.support import runs


def read(tmp_path, text: str):
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf-8")
    return runs(load(path))


def test_each_line_is_a_passage_with_its_id_and_title(tmp_path):
    sections = read(
        tmp_path,
        '\ufeff{"_id": "d1", "title": "Salt", "text": " It dissolves. ", "metadata": {}}\n\n'
        '{"id": 7, "text": "No title."}\n{"id": "e", "title": "Only", "text": ""}\n'
        '{"id": "none", "title": null, "text": ""}\n',
    )
    assert [(s.passage_id, s.heading_path, s.text) for s in sections] == [
        ("d1", ("Salt",), "It dissolves."),
        ("7", (), "No title."),
        ("e", ("Only",), "Only"),
    ]
    whole = document_text(load(tmp_path / "a.jsonl"))
    assert all(whole[s.char_start : s.char_end] == s.text for s in sections)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "x"}', '"_id" or "id"'),
        ('{"id": true, "text": "x"}', '"_id" or "id"'),
        ('{"id": "1"}', '"text"'),
        ('{"id": "1", "text": 3}', '"text"'),
        ('{"id": "1", "title": 3, "text": "x"}', '"title"'),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, reason):
    with pytest.raises(UnreadableFile, match=f"line 3: .*{reason}"):
        read(tmp_path, '{"id": "1", "text": "x"}\n\n' + line)


def test_lines_before_a_bad_one_are_streamed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "text": "x"}\nbad\n')
    sections = load(path)
    assert next(sections).passage_id == "1"
    with pytest.raises(UnreadableFile):
        next(sections)


def test_an_endless_line_is_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="longer than 16 MiB"):
        read(tmp_path, '"' + "x" * (17 * 1024 * 1024))


def test_a_real_corpus_is_whole(shared_data):
    path = shared_data / "beir/xquad_en/corpus.jsonl"
    ids = [json.loads(line)["_id"] for line in path.read_text().splitlines()]
    assert [s.passage_id for s in runs(load(path))] == ids
