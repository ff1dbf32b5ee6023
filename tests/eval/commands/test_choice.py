"""`rag-app eval choice` as a process: what it prints, and its exit status."""

import json
import re

import pytest

from tests.eval.choice.quiz import reads, write_documents, write_questions
from tests.openai_server import Reply
from tests.rag_app.command import rag_app


@pytest.fixture
def command(tmp_path, openai_server):
    """Runs `rag-app eval choice` over a few questions with an LLM reader."""
    openai_server.respond = reads
    questions = write_questions(tmp_path / "q.jsonl")
    documents = write_documents(tmp_path / "town")

    def run(*arguments, **variables):
        fixed = ["--corpus", documents] if "--corpus" not in arguments else []
        return rag_app(
            "eval", "choice", f"jsonl:{questions}", *fixed, *arguments,
            storage=tmp_path / "storage",
            network=True,
            cwd=tmp_path,
            **{
                "RAG_APP_READER__KIND": "llm",
                "RAG_APP_LLM__MODEL": openai_server.model,
                "RAG_APP_LLM__API_BASE": openai_server.url,
                "RAG_APP_LLM__API_KEY": "sk-sesame-opens",
            }
            | variables,
        )  # fmt: skip

    return run


def test_a_run_is_reported_to_people_and_to_programs(command, tmp_path):
    done = command("--arms", "closed_book,rag,random", "--limit", "12", "--json", "--out", "run")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["errors"] == 0
    assert document["metrics"] == json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert document["metrics"]["arms"]["rag"]["accuracy"] > 0.8
    assert re.search(r"36/36, .*closed_book \d+\.\d%, .*so far", done.stderr)
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {
        "config.toml", "env.json", "metrics.json", "progress.json", "report.html", "report.md",
        "run.json", "samples.jsonl", "timings.json",
    }  # fmt: skip
    for path in (tmp_path / "run").iterdir():
        assert "sesame" not in path.read_text()
    again = command("--limit", "12", "--out", "run")
    assert again.returncode == 1
    assert "holds a run already" in again.stderr
    assert "eval resume run" in again.stderr


def test_a_run_without_a_folder_gets_one_under_the_storage(command, tmp_path):
    done = command("--arms", "closed_book", "--limit", "4", "--repeats", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^closed_book: \d+\.\d% \(.* to .*\) of 8$", done.stdout, re.MULTILINE)
    (folder,) = (tmp_path / "storage" / "evaluations").glob("jsonl-*-q-jsonl-20*")
    assert f"report: {folder / 'report.html'}" in done.stdout
    assert f"run: {folder}" in done.stderr


def test_a_run_with_some_errors_ends_with_3_and_names_the_way_on(command, openai_server):
    openai_server.respond = lambda body: (
        Reply(status=400) if "the kettle of" in str(body) else reads(body)
    )
    done = command("--arms", "closed_book", "--max-errors", "0.1", "--out", "run")
    assert done.returncode == 3
    assert "1 failed: `rag-app eval resume run`" in done.stdout


def test_a_run_with_too_many_errors_ends_with_1_and_names_the_way_on(command, openai_server):
    openai_server.respond = lambda _: Reply(status=401)
    done = command("--arms", "closed_book", "--out", "run")
    assert done.returncode == 1
    assert "refuses the key" in done.stderr
    assert "rag-app eval resume run" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--arms", "open_book"], 2, "arm 'open_book' is unknown"),
        (["--subjects", "chess"], 1, "chess"),
        (["--limit", "0"], 2, "--limit"),
        (["--corpus", "nowhere"], 2, "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(command, tmp_path, arguments, status, said):
    done = command(*arguments, "--out", "run")
    assert done.returncode == status
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_reader_without_a_model_is_refused(command):
    done = command("--arms", "closed_book", "--out", "run", RAG_APP_LLM__MODEL="")
    assert done.returncode == 2
    assert "model" in done.stderr


def test_the_default_profile_needs_no_model_and_gives_the_same_twice(command, tmp_path):
    plain = {"RAG_APP_READER__KIND": "quote", "RAG_APP_LLM__MODEL": ""}
    metrics = []
    for folder in ("one", "two"):
        done = command(
            "--arms", "closed_book,rag,random", "--limit", "8", "--passages", "2",
            "--no-cache", "--out", folder,
            **plain,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        metrics.append((tmp_path / folder / "metrics.json").read_bytes())
        progress = json.loads((tmp_path / folder / "progress.json").read_text())
        assert progress["done"] == 24
    assert metrics[0] == metrics[1]
    arms = json.loads(metrics[0])["arms"]
    assert arms["rag"]["accuracy"] > arms["closed_book"]["accuracy"]
    assert arms["rag"]["passages_used_mean"] > 2, "two of every query"
