"""The log of samples survives whatever ends the process that writes it."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.runs.samples import SampleLog


def write(path, *records):
    with SampleLog(path) as log:
        for record in records:
            log.append(record)


def test_records_come_back_in_the_order_they_were_appended(tmp_path):
    records = [{"key": str(n), "state": "ok", "text": "a\nb \ud800 é"} for n in range(500)]
    write(tmp_path / "log", *records)
    assert list(SampleLog(tmp_path / "log").read()) == records
    assert len((tmp_path / "log").read_bytes().splitlines()) == 500


def test_a_file_that_is_not_there_holds_no_records(tmp_path):
    log = SampleLog(tmp_path / "log")
    assert list(log.read()) == []
    assert log.finished() == set()


def test_a_second_writer_goes_on_where_the_first_ended(tmp_path):
    write(tmp_path / "log", {"key": "a", "state": "ok"})
    write(tmp_path / "log", {"key": "b", "state": "ok"})
    assert [record["key"] for record in SampleLog(tmp_path / "log").read()] == ["a", "b"]


def test_the_last_record_of_a_key_wins(tmp_path):
    write(
        tmp_path / "log",
        {"key": "a", "state": "error"},
        {"key": "b", "state": "ok", "n": 1},
        {"key": "a", "state": "ok", "n": 2},
    )
    assert [record["n"] for record in SampleLog(tmp_path / "log").read()] == [1, 2]


def test_errors_are_not_finished_whatever_came_before_them(tmp_path):
    write(
        tmp_path / "log",
        {"key": "a", "state": "error"},
        {"key": "b", "state": "error"},
        {"key": "b", "state": "ok"},
        {"key": "c", "state": "unparsed"},
        {"key": "d", "state": "ok"},
        {"key": "d", "state": "error"},
    )
    assert SampleLog(tmp_path / "log").finished() == {"b", "c"}


def test_a_log_cut_at_any_byte_holds_exactly_its_whole_lines_and_goes_on(tmp_path):
    path = tmp_path / "log"
    write(path, *({"key": str(n), "state": "ok"} for n in range(4)))
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = [str(n) for n in range(whole[:size].count(b"\n"))]
        assert [record["key"] for record in SampleLog(path).read()] == kept
        write(path, {"key": "new", "state": "ok"})
        assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == [*kept, "new"]


def test_a_last_line_of_zeros_is_torn_too(tmp_path):
    path = tmp_path / "log"
    write(path, {"key": "a", "state": "ok"})
    with path.open("ab") as file:
        file.write(b"\0" * 100 + b"\n")
    assert SampleLog(path).finished() == {"a"}
    write(path, {"key": "b", "state": "ok"})
    assert SampleLog(path).finished() == {"a", "b"}


@pytest.mark.parametrize("line", ["not json", "[]", '{"state": "ok"}', '{"key": 1}'])
def test_damage_in_the_midst_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "log"
    path.write_text(f'{{"key": "a"}}\n{line}\n{{"key": "b"}}\n')
    with pytest.raises(EvalError, match=r"line 2 of .* is damaged"):
        list(SampleLog(path).read())


def test_appending_waits_for_no_disk_and_closing_waits_for_all(tmp_path, monkeypatch):
    import threading

    free, synced, sync = threading.Event(), [], os.fsync

    def slow(descriptor):
        free.wait(10)
        synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    log = SampleLog(tmp_path / "log")
    for n in range(1000):
        log.append({"key": str(n)})
    assert synced == []
    free.set()
    log.close()
    assert synced[-1] == (tmp_path / "log").stat().st_size
    assert len(synced) < 10, "the disk is asked once for all that waits"


def test_a_log_that_cannot_be_written_says_so_at_the_end_at_the_latest(tmp_path):
    log = SampleLog(tmp_path / "nowhere" / "log")
    with pytest.raises(EvalError, match=r"could not be written.*eval resume"):
        for _ in range(2):
            log.append({"key": "a"})
        log.close()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["ok", "error"])), max_size=12))
def test_finished_and_read_agree(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("log") / "log"
    write(path, *({"key": key, "state": state} for key, state in entries))
    log = SampleLog(path)
    assert log.finished() == {r["key"] for r in log.read() if r["state"] == "ok"}
    assert {r["key"]: r["state"] for r in log.read()} == dict(entries)
