"""`rag-app eval report` and `rag-app eval compare`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from eval.commands import reports
from eval.errors import EvalError
from tests.eval.report.runs import choice_run, metrics

APP = typer.Typer()
reports.register(APP)


def called(*arguments):
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_report_writes_both_anew_and_prints_where(tmp_path):
    run = choice_run(tmp_path / "run")
    (run.path / "report.html").write_text("old")
    assert called("report", run.path).stdout.split() == [str(run.path / "report.html")]
    assert "Retrieval gains" in (run.path / "report.html").read_text("utf-8")
    assert "Retrieval gains" in (run.path / "report.md").read_text("utf-8")


def test_report_as_json_is_metrics(tmp_path):
    run = choice_run(tmp_path / "run")
    assert json.loads(called("report", run.path, "--json").stdout) == metrics(run)


@pytest.mark.parametrize(("name", "begins"), [("c.html", "<!doctype html>"), ("c.md", "# Two")])
def test_compare_prints_and_writes(tmp_path, name, begins):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b", gain=0.9)
    result = called("compare", a.path, b.path, "--out", tmp_path / name)
    assert result.stdout.startswith("rag: B is better than A by ")
    assert "closed_book, accuracy" in result.stdout
    assert (tmp_path / name).read_text("utf-8").startswith(begins)


def test_compare_as_json_is_one_document(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b", questions=50)
    found = json.loads(called("compare", a.path, b.path, "--json").stdout)
    assert found["settings"] == [{"name": "plan.limit", "a": "200", "b": "50"}]
    assert {row["n"] for row in found["rows"]} == {50}
    assert {"name": "rag-closed_book"}.items() <= {
        "name": next(g["name"] for g in found["gains"] if g["name"].startswith("rag-c"))
    }.items()


def test_a_gate_tells_by_its_exit_status(tmp_path):
    good, bad = choice_run(tmp_path / "a", gain=0.6), choice_run(tmp_path / "b", gain=0.0)
    assert called("gate", good.path, good.path).exit_code == 0
    closed = called("gate", good.path, bad.path)
    assert closed.exit_code == 1
    assert "worse  rag, accuracy" in closed.stdout
    document = json.loads(called("gate", good.path, bad.path, "--json").stdout)
    assert document["passed"] is False
    assert called("gate", good.path, bad.path, "--tolerance", "100").exit_code == 0


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(EvalError, match="holds no run"):
        called("report", tmp_path)
