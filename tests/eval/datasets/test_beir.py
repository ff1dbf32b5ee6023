"""Folders in BEIR's form are read, and broken ones are refused with the reason."""

import json
from pathlib import Path

import pytest

from eval.datasets.beir import find, load
from eval.errors import DatasetError

CORPUS = [
    {"_id": "p1", "title": "Cats", "text": "They purr."},
    {"_id": "p2", "title": "", "text": "Größe"},
    {"_id": "p3", "text": "No title at all."},
]
QUERIES = [{"_id": "q1", "text": "who purrs?"}, {"_id": "q2", "text": "never judged"}]
HEADER = "query-id\tcorpus-id\tscore\n"
QRELS = HEADER + "q1\tp1\t2\nq1\tp2\t0\n"


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
    (tmp_path / "qrels" / "train.tsv").write_text(HEADER + "t1\tp3\t1\n")
    return tmp_path


def judged(folder: Path, rows: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(rows)


def test_judged_queries_and_their_judgements(folder):
    data = load(folder)
    assert data.queries == {"q1": "who purrs?"}
    assert data.qrels == {"q1": {"p1": 2, "p2": 0}}
    assert data.corpus == folder / "corpus.jsonl"


def test_queries_of_a_split_may_have_a_file_of_their_own(folder):
    data = load(folder, "train")
    assert data.queries == {"t1": "train"}
    assert data.qrels == {"t1": {"p3": 1}}


def test_judgements_of_dev_stand_in_for_those_of_test_and_the_name_says_so(folder):
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "dev.tsv")
    data = load(folder, name="beir:cats")
    assert data.name == "beir:cats (dev)"
    assert data.qrels == {"q1": {"p1": 2, "p2": 0}}


def test_judgements_need_no_header_and_may_be_written_with_a_point(folder):
    judged(folder, "q1\tp1\t2.0\nq1\tp2\t-1\n")
    assert load(folder).qrels == {"q1": {"p1": 2, "p2": -1}}


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(DatasetError, match=rf"{Path(missing).name} cannot be read: no such file"):
        load(folder)


@pytest.mark.parametrize("line", ["q1\tp1", "q1\tp1\tgood", "q1 p1 1", "q1\tp1\t1\t1"])
def test_a_broken_judgement_is_named(folder, line):
    judged(folder, QRELS + line + "\n")
    with pytest.raises(DatasetError, match=r"test.tsv line 4 .*tabs"):
        load(folder)


@pytest.mark.parametrize("grade", ["0.5", "nan", "inf"])
def test_grades_that_are_not_whole_are_refused(folder, grade):
    judged(folder, QRELS + f"q1\tp3\t{grade}\n")
    with pytest.raises(DatasetError, match=rf"line 4 .*relevance {grade} is not whole"):
        load(folder)


def test_text_in_another_encoding_is_refused(folder):
    (folder / "queries.jsonl").write_bytes('{"_id": "q1", "text": "Größe"}'.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"queries.jsonl line 1 cannot be read: it is not JSON"):
        load(folder)


def test_judgements_of_an_unknown_query_are_refused(folder):
    judged(folder, QRELS + "q9\tp1\t1\n")
    with pytest.raises(DatasetError, match=r"1 queries without text: query 'q9'"):
        load(folder)


def test_no_judgements_at_all_are_refused(folder):
    judged(folder, HEADER)
    with pytest.raises(DatasetError, match=r"test.tsv has no judgements"):
        load(folder)


def test_relevant_passages_must_be_in_the_corpus(folder):
    judged(folder, QRELS + "q1\tgone\t1\nq1\tnever\t1\nq1\talso gone\t0\n")
    with pytest.raises(DatasetError, match=r"beir:cats lacks 2 of 3 .* no passage 'gone'"):
        load(folder, name="beir:cats")


def test_blank_lines_are_skipped(folder):
    judged(folder, QRELS + "\n\n")
    assert load(folder).qrels == {"q1": {"p1": 2, "p2": 0}}


def test_the_revision_changes_with_whatever_is_read_and_with_nothing_else(folder, tmp_path):
    before = load(folder).revision
    with (folder / "queries.jsonl").open("a") as queries:
        queries.write('{"_id": "q3", "text": "never judged either"}\n')
    assert load(folder).revision == before
    with (folder / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "p4", "text": "new"}\n')
    changed = load(folder).revision
    assert changed != before
    judged(folder, QRELS.replace("p1\t2", "p1\t1"))
    assert load(folder).revision not in (before, changed)


def test_a_folder_is_found_by_path_and_by_name(folder, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "beir").mkdir()
    (tmp_path / "data" / "beir" / "cats").symlink_to(folder)
    by_path = find(str(folder), None, tmp_path)
    by_name = find("cats", tmp_path / "data", tmp_path)
    assert by_path.name == f"beir:{folder}"
    assert by_name.name == "beir:cats"
    assert by_name.revision == by_path.revision


def test_an_unknown_name_is_told_what_there_is(shared_data, tmp_path):
    with pytest.raises(DatasetError, match=r"beir:dogs is neither .* cranfield, .*scifact"):
        find("dogs", shared_data, tmp_path)
    with pytest.raises(DatasetError, match=r"beir:dogs is neither .* no --data-dir is given"):
        find("dogs", None, tmp_path)


@pytest.mark.parametrize(
    ("name", "queries", "judgements"),
    [
        ("scifact", 300, 339),
        ("entailmentbank", 526, 2335),
        ("cranfield", 225, 1837),
        ("xquad_en", 1190, 1190),
    ],
)
def test_published_counts(shared_data, tmp_path, name, queries, judgements):
    data = find(name, shared_data, tmp_path)
    assert len(data.queries) == queries
    assert sum(map(len, data.qrels.values())) == judgements
