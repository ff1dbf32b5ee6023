import io
import json
import logging
import sys

import pytest

from generation.citations import Citation
from generation.reading import TextDelta, ThinkingDelta
from rag_app.commands import output
from rag_app.results import (
    Answer,
    CollectionInfo,
    DocumentInfo,
    DocumentWarning,
    Failure,
    Hit,
    IngestReport,
    Progress,
    SearchResult,
    Trace,
)
from rag_app.settings import load_settings

ESCAPE = "\x1b[31mred\x07\x9b\r\x00 text"
TRACE = Trace()
TRACE.stage("condense", "none", 0.01)
TRACE.stage("retrieve", "hybrid", 12.34)
HIT = Hit("id", "a.pdf", 3, 10, 20, f"first\nline {ESCAPE}", 0.5, {"dense": 1, "bm25": 2}, {})
CITATION = Citation(1, "id", "a.pdf", None, 10, 20, "the words " * 60)


def test_json_is_one_document_whatever_people_would_see(capsys):
    output.show({"a": [1, "ü\u2028"]}, True, lambda _: pytest.fail("not for people"))
    assert json.loads(capsys.readouterr().out) == {"a": [1, "ü\u2028"]}


def test_every_document_is_json(capsys):
    told = (
        SearchResult("q", [HIT], TRACE).as_dict(),
        Answer("t", [CITATION], [HIT], True, TRACE).as_dict(),
        IngestReport(failures=[Failure("a", "b")]).as_dict("c"),
        output.plain(DocumentInfo("a", "ready", 1, 2, "now")),
        output.plain(CollectionInfo("c", 1, 2, "e", True)),
        load_settings().model_dump(mode="json"),
    )
    for document in told:
        output.show(document, True, print)
        assert json.loads(capsys.readouterr().out)


def test_people_read_hits_with_place_ranks_and_times(capsys):
    output.hits(SearchResult("q", [HIT], TRACE).as_dict())
    text = capsys.readouterr().out
    assert "1. a.pdf, page 3, characters 10-20  score 0.500  (dense 1, bm25 2)" in text
    assert "first line" in text
    assert text.endswith("milliseconds: retrieve 12.3\n"), "stages that did nothing are left out"


def test_people_read_evidence_cut_to_a_line(capsys):
    output.citations(Answer("t", [CITATION], [], True, TRACE).as_dict())
    line = next(l for l in capsys.readouterr().out.splitlines() if l.startswith("[1]"))  # noqa: E741
    assert line.startswith("[1] a.pdf, characters 10-20: the words")
    assert line.endswith("…")
    assert len(line) < 300


def test_people_read_how_much_was_used_and_is_cited(capsys):
    trace = Trace(passages_given=10, passages_used=6)
    trace.stage("read", "llm", 5.0, coverage=0.75)
    output.citations(Answer("t", [], [], True, trace).as_dict())
    assert "\nused 6 of 10 passages, 75% of sentences cited\nmill" in capsys.readouterr().out
    trace.stages.clear()
    output.citations(Answer("t", [], [], True, trace).as_dict())
    assert "\nused 6 of 10 passages\nmill" in capsys.readouterr().out


def test_people_read_what_became_of_their_question(capsys):
    trace = Trace()
    trace.stage("condense", "carry-over", 0.1, question="And its weight? (AB-12)")
    trace.stage("retrieve", "hybrid", 5.0, cut=True, fallback="BM25 alone searched: no server")
    told = (
        "Searched for: And its weight? (AB-12)\nThe question was too long for the encoder, and its "
        "end was not searched.\nBM25 alone searched: no server.\n"
    )
    output.citations(Answer("t", [], [], True, trace).as_dict())
    assert told in capsys.readouterr().out
    output.hits(SearchResult("q", [HIT], trace).as_dict())
    assert told in capsys.readouterr().out


def test_people_read_what_an_ingestion_did_and_did_not(capsys):
    broken, guessed = Failure("b.pdf", "is broken"), DocumentWarning("a.txt", 3, "is a guess")
    report = IngestReport(1, 2, 3, ["old.txt"], 4, 5, 6.0, [broken], [guessed])
    report.ignored = [Failure("c.mp4", "files that end in .mp4 are not read")]
    output.ingest_report(report.as_dict("papers"))
    assert capsys.readouterr().out == (
        "papers: 1 added, 2 updated, 3 unchanged, 1 removed, 1 failed; 4 passages in 6.0 s\n"
        "5 passages are longer than the encoder reads; their ends count for BM25 only\n"
        "failed: b.pdf: is broken\n"
        "warning: a.txt (page 3): is a guess\n"
        "removed: old.txt: its file is gone\n"
        "ignored: c.mp4: files that end in .mp4 are not read\n"
    )


def test_people_read_tables_in_full(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    infos = [DocumentInfo("[red]a.txt", "ready", 3, 40, "2026-01-01"),
             DocumentInfo("b.txt", "failed", 0, 0, "2026-01-01", "is broken")]  # fmt: skip
    output.documents({"documents": [output.plain(info) for info in infos]})
    text = capsys.readouterr().out
    assert "[red]a.txt" in text, "names are no markup"
    assert "is broken" in text
    stale = CollectionInfo("old", 1, 2, "minilm", False)
    output.collections({"collections": [output.plain(stale)]})
    assert "rag-app collections rebuild old" in capsys.readouterr().out


def test_people_read_what_was_deleted_and_what_was_not_there(capsys):
    output.deleted({"deleted": ["a"], "missing": ["b"]})
    assert capsys.readouterr().out == "deleted: a\nnot there: b\n"


def test_people_read_probes_with_the_hint_of_those_that_fail(capsys):
    good = {"role": "index", "ok": True, "detail": "fine", "ms": 1.0, "hint": ""}
    bad = {"role": "port", "ok": False, "detail": "taken", "ms": 1.0, "hint": "Use another"}
    output.probes({"probes": [good, bad], "unused": ["reranker", "ray"], "seconds": 1.26})
    fine, failed, last = capsys.readouterr().out.splitlines()
    assert fine == "ok   index     fine (1 ms)"
    assert failed == "FAIL port      taken (1 ms) -> Use another"
    assert last == "1.3 s; not used: reranker, ray"


def test_documents_cannot_command_the_terminal(capsys):
    output.hits(SearchResult("q", [HIT], TRACE).as_dict())
    output.stream(TextDelta(ESCAPE), False)
    output.documents({"documents": [output.plain(DocumentInfo(ESCAPE, "ready", 1, 2, "now"))]})
    output.ingest_report(IngestReport(failures=[Failure(ESCAPE, ESCAPE)]).as_dict("c"))
    text = capsys.readouterr().out
    assert "red" in text
    assert not {"\x1b", "\x07", "\x9b", "\r", "\x00"} & set(text)


def test_the_answer_is_streamed_to_people_alone(capsys):
    output.stream(TextDelta("piece"), False)
    assert capsys.readouterr().out == "piece"
    output.stream(ThinkingDelta("hm"), False)
    output.stream(TextDelta("piece"), True)
    output.stream(SearchResult("q", [HIT], TRACE), False)
    assert capsys.readouterr().out == ""


def test_nobody_watching_gets_no_progress(capsys):
    with output.progress() as tell:
        assert tell is None
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_counts_rate_and_time_left_on_stderr(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with output.progress() as tell:
        assert tell is not None
        tell(Progress(1, 4, 100, 0.25, 10.0, "[bold]a.txt"))
    text = terminal.getvalue()
    for part in ("25%", "1/4 documents", "100 passages", "10/s", "30 s left", "[bold]a.txt"):
        assert part in text
    assert capsys.readouterr().out == ""


def test_logs_go_to_stderr_from_the_level_on(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    output.set_up_logging("WARNING")
    logging.getLogger("rag_app.somewhere").info("unheard")
    logging.getLogger("rag_app.somewhere").warning("heard")
    assert stream.getvalue() == "WARNING rag_app.somewhere: heard\n"
