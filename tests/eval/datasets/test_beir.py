"""Folders in BEIR's form are read, and broken ones are refused with the reason."""

import json
from pathlib import Path

import pytest

from eval.datasets.beir import load
from eval.errors import DatasetError

CORPUS = [
    {"_id": "p1", "title": "Cats", "text": "They purr."},
    {"_id": "p2", "title": "", "text": "Größe"},
    {"_id": "p3", "text": "No title at all."},
]
QUERIES = [{"_id": "q1", "text": "who purrs?"}, {"_id": "q2", "text": "never judged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\tp1\t2\nq1\tp2\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, lines: list[dict[str, str]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8")

    write("corpus.jsonl", CORPUS)
    write("queries.jsonl", QUERIES)
    write("queries_train.jsonl", [{"_id": "t1", "text": "train"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(QRELS)
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nt1\tp3\t1\n")
    return tmp_path


def test_judged_queries_and_their_judgements(folder):
    data = load(folder)
    assert data.queries == {"q1": "who purrs?"}
    assert data.qrels == {"q1": {"p1": 2, "p2": 0}}


def test_queries_of_a_split_may_have_a_file_of_their_own(folder):
    data = load(folder, "train")
    assert data.queries == {"t1": "train"}
    assert data.qrels == {"t1": {"p3": 1}}


def test_passages_keep_file_order_and_may_lack_a_title(folder):
    data = load(folder)
    assert list(data.passages()) == [
        ("p1", "Cats", "They purr."),
        ("p2", "", "Größe"),
        ("p3", "", "No title at all."),
    ]
    assert data.corpus["p1"] == ("Cats", "They purr.")
    assert data.corpus is data.corpus


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(
        DatasetError, match=rf"{Path(missing).name} cannot be read: .*Give a folder"
    ):
        load(folder)


@pytest.mark.parametrize("line", ["{", '{"_id": "x"}', "7", '["_id", "text"]'])
def test_a_broken_line_is_named(folder, line):
    with (folder / "corpus.jsonl").open("a") as corpus:
        corpus.write(line + "\n")
    with pytest.raises(DatasetError, match=r"corpus.jsonl line 4 .*JSON object"):
        list(load(folder).passages())


@pytest.mark.parametrize("line", ["q1\tp1", "q1\tp1\tgood", "q1 p1 1"])
def test_a_broken_judgement_is_named(folder, line):
    (folder / "qrels" / "test.tsv").write_text(QRELS + line + "\n")
    with pytest.raises(DatasetError, match=r"test.tsv line 4 .*tabs"):
        load(folder)


def test_text_in_another_encoding_is_refused(folder):
    (folder / "queries.jsonl").write_bytes('{"_id": "q1", "text": "Größe"}'.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"queries.jsonl cannot be read: .*utf-8"):
        load(folder)


def test_judgements_of_an_unknown_query_are_refused(folder):
    (folder / "qrels" / "test.tsv").write_text(QRELS + "q9\tp1\t1\n")
    with pytest.raises(DatasetError, match=r"1 queries without text: query 'q9'"):
        load(folder)


def test_blank_lines_are_skipped(folder):
    with (folder / "qrels" / "test.tsv").open("a") as qrels:
        qrels.write("\n\n")
    assert load(folder).qrels == {"q1": {"p1": 2, "p2": 0}}


def test_published_counts_of_scifact(shared_data):
    data = load(shared_data / "beir" / "scifact")
    assert len(data.queries) == 300
    assert sum(map(len, data.qrels.values())) == 339
    assert len(data.corpus) == 5183
