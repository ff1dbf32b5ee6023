import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_app.errors import ApplicationError
from rag_app.settings import Settings, load_settings, override
from ui.evaluation_runs import EvaluationRun, EvaluationRuns

SCRIPT = Path(__file__).with_name("scripted_evaluation.py")
COMMAND = (sys.executable, str(SCRIPT))


@pytest.fixture
def runs(tmp_path, settings) -> Iterator[EvaluationRuns]:
    runs = EvaluationRuns(tmp_path / "evaluations", settings, COMMAND)
    yield runs
    runs.stop(runs.running)


def until(runs: EvaluationRuns, name: str, *states: str, done: int = 0) -> EvaluationRun:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        [run] = [run for run in runs.overview() if run.name == name]
        if run.state in states and run.progress.get("done", 0) >= done:
            return run
        time.sleep(0.02)
    raise AssertionError(f"{name} is {run}")


def arguments(folder: Path) -> list[str]:
    found: list[str] = json.loads((folder / "launch.json").read_text())["arguments"]
    return found


def test_a_run_goes_from_its_start_to_its_report(runs, tmp_path):
    assert runs.overview() == []
    name = runs.start("choice", "mmlu", {"arms": ["closed_book", "rag"], "limit": 20})
    assert name.startswith("choice-mmlu-")
    assert runs.running == name
    assert until(runs, name, "running", done=1).progress["accuracy"] == {"rag": 0.5}
    run = until(runs, name, "done")
    assert (run.kind, run.dataset, run.measure) == ("choice", "mmlu", "accuracy")
    assert run.headline == {"closed_book": 0.5, "rag": 0.7}
    assert run.has_report
    assert runs.report(name).read_text().startswith("<!doctype html>")
    assert runs.running == ""
    folder = tmp_path / "evaluations" / name
    assert arguments(folder) == [
        *("eval", "choice", "--arms", "closed_book,rag", "--limit", "20"),
        *("--out", str(folder), "--", "mmlu"),
    ]


def test_a_retrieval_run_shows_its_systems(runs):
    name = runs.start("retrieval", "own", {"collection": "c", "retrievers": [], "limit": None})
    run = until(runs, name, "done")
    assert (run.measure, run.headline) == ("ndcg@10", {"bm25": 0.31, "hybrid": 0.42})


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 200_000], ids=["nul", "half", "long"])
def test_what_no_process_can_be_given_is_refused_and_leaves_nothing(runs, tmp_path, odd):
    for kind, dataset, options in (
        ("adapt", odd, {}),
        ("retrieval", odd, {}),
        ("retrieval", "own", {"collection": odd}),
    ):
        with pytest.raises(ApplicationError, match="cannot be given"):
            runs.start(kind, dataset, options)
    assert not (tmp_path / "evaluations").exists()
    assert runs.running == ""


def test_an_adaptation_is_the_command_of_that_name(runs, tmp_path):
    name = runs.start("adapt", "island", {"name": "island-1", "switch": True})
    run = until(runs, name, "done")
    assert (run.kind, run.dataset, run.measure) == ("adapt", "island", "ndcg@10")
    folder = tmp_path / "evaluations" / name
    assert arguments(folder) == [
        *("adapt", "--name", "island-1", "--switch", "--collection", "island"),
        *("--out", str(folder)),
    ]


def test_two_runs_are_compared_or_held_to_one_another(runs, tmp_path):
    for kind in ("compare", "gate"):
        with pytest.raises(ApplicationError, match="no run"):
            runs.start(kind, "a / b", {"first": "../a", "second": "b"})
    first, second = (until(runs, runs.start("choice", "mmlu"), "done").name for _ in range(2))
    pair = {"first": first, "second": second}
    run = until(runs, runs.start("compare", "a / b", pair), "done")
    assert run.has_report
    assert not run.measure
    folders = [str(tmp_path / "evaluations" / name) for name in (first, second)]
    name = runs.start("gate", "a / b", {**pair, "tolerance": 1.5})
    run = until(runs, name, "done")
    assert run.verdict == "failed: the new run is worse"
    told = arguments(tmp_path / "evaluations" / name)
    assert told == ["eval", "gate", "--tolerance", "1.5", "--", *folders]


def test_a_run_says_what_it_came_to_and_goes_by_the_settings_in_force(runs, tmp_path, settings):
    runs.use(override(settings, {"llm": {"model": "connected"}}))
    name = runs.start("choice", "mmlu", {"cache": False, "fresh": True})
    folder = tmp_path / "evaluations" / name
    assert arguments(folder)[2:4] == ["--no-cache", "--fresh"]
    assert "connected" in (folder / "launch.toml").read_text()
    assert until(runs, name, "done").verdict == "Retrieval gains"


def test_only_one_run_is_under_way(runs):
    name = runs.start("choice", "slow")
    with pytest.raises(ApplicationError, match=f"run {name} is under way"):
        runs.start("choice", "mmlu")
    with pytest.raises(ApplicationError, match="under way"):
        runs.resume(name)
    runs.stop(name)
    until(runs, runs.start("choice", "mmlu"), "done")


def test_a_run_is_deleted_with_its_files_unless_it_is_under_way(runs, tmp_path):
    name = runs.start("choice", "slow")
    with pytest.raises(ApplicationError, match=f"run {name} is under way. Stop it first"):
        runs.remove(name)
    runs.stop(name)
    kept = runs.start("choice", "mmlu")
    until(runs, kept, "done")
    runs.remove(name)
    assert [run.name for run in runs.overview()] == [kept]
    assert not (tmp_path / "evaluations" / name).exists()
    for absent in (name, "..", "../evaluations", ""):
        with pytest.raises(ApplicationError, match="there is no run"):
            runs.remove(absent)
    assert (tmp_path / "evaluations" / kept).is_dir()


def test_a_stopped_run_is_resumed_where_it_was(runs, tmp_path):
    name = runs.start("choice", "slow")
    until(runs, name, "running", done=2)
    runs.stop("another")
    assert runs.running == name
    runs.stop(name)
    assert until(runs, name, "interrupted").progress["done"] == 2
    runs.resume(name)
    until(runs, name, "done")
    samples = (tmp_path / "evaluations" / name / "samples.jsonl").read_text().split()
    assert len(samples) == 10
    assert len(set(samples)) == 2, "two processes had a share in it"
    with pytest.raises(ApplicationError, match="nothing left to do"):
        runs.resume(name)


def test_a_run_that_fails_says_why_and_can_be_tried_again(runs, tmp_path):
    name = runs.start("choice", "missing")
    assert until(runs, name, "failed").message == "data set missing is not there. Get it"
    (tmp_path / "evaluations" / "found").touch()
    runs.resume(name)
    assert until(runs, name, "done").message == ""
    name = runs.start("choice", "wrong")
    assert until(runs, name, "failed").message.endswith("too many errors")


def test_another_process_sees_the_same_runs(runs, tmp_path, settings):
    name = runs.start("choice", "slow")
    until(runs, name, "running", done=2)
    other = EvaluationRuns(tmp_path / "evaluations", settings, COMMAND)
    assert until(other, name, "running").progress["done"] == 2
    other.stop(name)
    assert runs.running == name, "a run is stopped by who started it"
    runs.stop(name)
    until(other, name, "interrupted")
    other.resume(name)
    until(other, name, "done")
    until(runs, name, "done")


def test_a_run_of_a_process_that_was_killed_is_interrupted(runs, tmp_path):
    folder = tmp_path / "evaluations" / "by-hand"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"kind": "choice", "dataset": {"name": "mmlu"}}')
    (folder / "progress.json").write_text('{"state": "running", "done": 1}')
    assert runs.overview()[0].state == "running"
    then = time.time() - 60
    os.utime(folder / "progress.json", (then, then))
    assert runs.overview()[0].state == "interrupted"
    runs.resume("by-hand")
    assert until(runs, "by-hand", "done").dataset == "mmlu"


def test_closing_ends_the_run_that_is_under_way(runs):
    name = runs.start("choice", "slow")
    until(runs, name, "running", done=2)
    runs.close()
    until(runs, name, "interrupted")


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "../evaluations", "/etc", "a\0b", "x" * 101]
)
def test_names_that_could_be_paths_are_not_followed(runs, tmp_path, name):
    (tmp_path / "report.html").write_text("outside")
    (tmp_path / "evaluations").mkdir()
    assert runs.report(name) is None
    runs.stop(name)
    with pytest.raises(ApplicationError, match="there is no run"):
        runs.resume(name)


def test_a_report_that_is_a_link_is_not_followed(runs, tmp_path):
    folder = tmp_path / "evaluations" / "run"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "report.html").symlink_to(tmp_path / "secret")
    assert runs.report("run") is None


def test_a_data_set_is_never_taken_for_an_option(runs, tmp_path):
    with pytest.raises(ApplicationError, match="no data set is named"):
        runs.start("choice", "  ")
    name = runs.start("choice", "--arms")
    assert arguments(tmp_path / "evaluations" / name)[-2:] == ["--", "--arms"]


def test_the_child_has_these_settings_and_no_file_has_secrets(tmp_path, settings, monkeypatch):
    tell = tmp_path / "tell.py"
    tell.write_text(
        "import os, json, pathlib, sys; pathlib.Path(sys.argv[sys.argv.index('--out') + 1],"
        " 'environment').write_text(json.dumps(dict(os.environ)))"
    )
    chosen = {
        "llm": {"api_key": "key-of-the-llm", "model": "m"},
        "encoders": {"reasonir-8b": {"api_key": "key-of-the-encoder", "url": "http://x/v1"}},
        "server": {"password": "the-password"},
    }
    settings = override(settings, chosen)
    runs = EvaluationRuns(tmp_path / "evaluations", settings, (sys.executable, str(tell)))
    name = runs.start("choice", "mmlu")
    folder = tmp_path / "evaluations" / name
    until(runs, name, "interrupted", "failed")
    environment = json.loads((folder / "environment").read_text())
    assert "the-password" not in environment.values()
    (folder / "environment").unlink()
    kept = "".join(path.read_text() for path in folder.iterdir())
    assert not any(secret in kept for secret in ("key-of", "the-password"))
    assert (folder / "launch.toml").stat().st_mode & 0o077 == 0
    for key, value in environment.items():
        if key.startswith("RAG_APP_") and key not in {"RAG_APP_SHARED_DATA", "RAG_APP_ARTIFACTS"}:
            monkeypatch.setenv(key, value)
    child: Settings = load_settings(folder / "launch.toml")
    assert child.model_copy(update={"server": settings.server}) == settings
    assert child.server.password is None


def test_the_real_command_takes_the_settings(tmp_path, settings):
    runs = EvaluationRuns(tmp_path / "evaluations", settings)
    name = runs.start("nonsense", "mmlu")
    until(runs, name, "failed")
    log = (tmp_path / "evaluations" / name / "log.txt").read_text()
    assert "No such command 'nonsense'" in log
