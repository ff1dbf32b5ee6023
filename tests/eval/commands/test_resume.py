"""`rag-app eval resume`: a run that was killed comes to the same end as one that was not.

ADVERSITY_KILLS kills twenty times instead of four; `make adversity` does so.
"""

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.eval.choice.quiz import reads, write_documents, write_questions
from tests.rag_app.command import MAIN, Command, environment, rag_app

KILLS = 20 if "ADVERSITY_KILLS" in os.environ else 4


@pytest.fixture
def world(tmp_path, openai_server):
    """Arguments and variables of a run with an LLM reader, whose answers come out of order."""
    draw = random.Random(5)  # noqa: S311

    def slowly(body):
        reply = reads(body)
        return replace(reply, delay=draw.uniform(0.0, 0.06))

    openai_server.respond = slowly
    variables = {
        "RAG_APP_READER__KIND": "llm",
        "RAG_APP_LLM__MODEL": openai_server.model,
        "RAG_APP_LLM__API_BASE": openai_server.url,
        "RAG_APP_LLM__CONCURRENCY": "4",
    }
    questions = write_questions(tmp_path / "q.jsonl")
    arguments = [
        "eval", "choice", f"jsonl:{questions}", "--arms", "closed_book,rag,random",
        "--corpus", str(write_documents(tmp_path / "town")), "--repeats", "2",
    ]  # fmt: skip
    return arguments, variables


@pytest.mark.slow
def test_a_run_killed_at_random_instants_ends_as_one_that_was_not(tmp_path, world):
    draw = random.Random(20)  # noqa: S311
    arguments, variables = world
    storage, log = tmp_path / "storage", tmp_path / "killed" / "samples.jsonl"
    begin = [*arguments, "--out", str(tmp_path / "killed")]
    resume = ["eval", "resume", str(tmp_path / "killed")]
    grown = []
    while len(grown) < KILLS:
        begun = (tmp_path / "killed" / "run.json").exists()
        before = _size(log)
        said = tmp_path / f"said-{len(grown)}"
        process = Command(
            resume if begun else begin,
            environment(storage, network=True, **variables),
            Path(os.devnull),
            said,
        )
        _kill_when(process, log, before, draw)
        assert process.returncode == -signal.SIGKILL, "the kills must come while there is work"
        assert "Traceback" not in said.read_text("utf-8")
        grown.append(_size(log) - before)
    assert sum(size > 0 for size in grown) >= KILLS / 2, "most come in the midst of answers"
    assert 0 < _lines(log) < 180
    done = rag_app(*resume, storage=storage, network=True, **variables)
    assert done.returncode == 0, done.stderr
    assert _lines(log) == 180
    keys = [json.loads(line)["key"] for line in log.read_text().splitlines()]
    assert len(set(keys)) == 180, "what was on disk was never asked again"

    whole = [*arguments, "--no-cache", "--out", str(tmp_path / "whole")]
    done = rag_app(*whole, storage=storage, network=True, **variables)
    assert done.returncode == 0, done.stderr
    for name in ("metrics.json", "questions.json"):
        assert _bytes(tmp_path / "killed" / name) == _bytes(tmp_path / "whole" / name)


def _kill_when(process, log, before, draw) -> None:
    """Kill as soon as the log has grown by some bytes, or some time has passed since the start."""
    start, patience = time.monotonic(), draw.uniform(0.1, 1.5)
    bytes_more = draw.randint(1, 12_000) if draw.random() < 0.75 else None
    while process.poll() is None:
        if bytes_more is None and time.monotonic() - start > patience:
            break
        if bytes_more is not None and _size(log) - before >= bytes_more:
            break
        time.sleep(0.001)
    process.kill()
    process.wait()


def _size(log) -> int:
    return log.stat().st_size if log.exists() else 0


def _lines(log) -> int:
    return log.read_bytes().count(b"\n")


def _bytes(path) -> bytes:
    return path.read_bytes()


def test_a_run_that_a_person_stops_tells_the_way_on(tmp_path, world, openai_server):
    arguments, variables = world
    openai_server.respond = lambda body: replace(reads(body), delay=0.3)  # so that work is left
    process = subprocess.Popen(
        [*MAIN, *arguments, "--out", str(tmp_path / "run")],
        env=environment(tmp_path / "storage", network=True, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not _size(tmp_path / "run" / "samples.jsonl") and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = (stream.decode() for stream in process.communicate(timeout=60))
    assert process.returncode == 130
    assert out == ""
    assert f"to go on: rag-app eval resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err
    progress = json.loads((tmp_path / "run" / "progress.json").read_text())
    assert (progress["state"], progress["message"]) == ("failed", "interrupted")
    assert progress["done"] == _lines(tmp_path / "run" / "samples.jsonl") < 180


def test_a_run_that_is_done_is_summed_up_anew_and_asks_nothing(tmp_path, world, openai_server):
    arguments, variables = world
    storage, run = tmp_path / "storage", tmp_path / "run"
    first = rag_app(
        *arguments, "--limit", "3", "--out", run, storage=storage, network=True, **variables
    )
    assert first.returncode == 0, first.stderr
    metrics = _bytes(run / "metrics.json")
    (run / "metrics.json").unlink()
    openai_server.requests.clear()
    again = rag_app(
        "eval", "resume", run, "--json", storage=tmp_path / "elsewhere", network=True,
        cwd=tmp_path, RAG_APP_LLM__API_KEY="another",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert openai_server.requests == []
    assert _bytes(run / "metrics.json") == metrics
    assert json.loads(again.stdout)["metrics"] == json.loads(metrics)
    changes = json.loads((run / "env.json").read_text())["resumed"]
    assert changes[0]["command"][-4:] == ["eval", "resume", str(run), "--json"]


def test_what_is_no_run_is_refused(tmp_path):
    done = rag_app("eval", "resume", tmp_path, storage=tmp_path / "storage")
    assert done.returncode == 1
    assert "holds no run" in done.stderr


def test_a_run_of_a_kind_that_is_not_known_is_refused(tmp_path):
    content = {"kind": "poetry", "plan": {}, "dataset": {}}
    (tmp_path / "run.json").write_text(json.dumps(content))
    done = rag_app("eval", "resume", tmp_path, storage=tmp_path / "storage")
    assert done.returncode == 1
    assert "poetry" in done.stderr
