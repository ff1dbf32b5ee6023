"""Makes the reports of a run directory, from nothing but what lies in it."""

import csv
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from data.files import write_text
from eval.errors import EvalError
from eval.report import choice, free_answers, method, rendering, retrieval
from eval.report.document import Report
from eval.runs.directory import RunDirectory

PAGE, MARKDOWN, VERDICT = "report.html", "report.md", "verdict.json"


@dataclass(frozen=True, slots=True)
class Records:
    """The samples of a run, read anew each time they are iterated."""

    directory: RunDirectory

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.directory.log.read()


def write(directory: RunDirectory) -> None:
    """Write ``report.html``, ``report.md`` and ``verdict.json`` of a finished run.

    Texts of questions are taken from ``questions.json`` (id -> ``{"question", "choices"}``, or the
    text of a query); without that file, and for private data sets always, only ids are shown.

    Raises:
        EvalError: there are no metrics yet, or matplotlib or jinja2 is not installed.
    """
    made = report(directory)
    write_text(directory.path / VERDICT, json.dumps(asdict(made.verdict), ensure_ascii=False))
    for name, text in ((PAGE, rendering.html(made)), (MARKDOWN, rendering.markdown(made))):
        write_text(directory.path / name, text)


def report(directory: RunDirectory) -> Report:
    """What the reports of a run say; raises as `write`."""
    metrics = directory.read_json("metrics.json")
    private = bool(directory.dataset.get("private"))
    texts = {} if private else optional_json(directory, "questions.json")
    end = method.sections(directory.kind, directory.plan, optional_json(directory, "env.json"))
    if directory.kind == "answers":
        return free_answers.report(metrics, end)
    if directory.kind == "choice":
        return choice.report(
            metrics,
            Records(directory),
            questions=texts,
            private=private,
            timings=optional_json(directory, "timings.json"),
            method=end,
        )
    return retrieval.report(
        metrics,
        per_query(directory),
        queries=texts,
        private=private,
        encoder=str(config(directory).get("encoder", {}).get("name", "")),
        method=end,
    )


def optional_json(directory: RunDirectory, name: str) -> Mapping[str, Any]:
    """A JSON file of a run; empty where it is not there.

    Raises:
        EvalError: it is there and cannot be read.
    """
    return directory.read_json(name) if (directory.path / name).exists() else {}


def config(directory: RunDirectory) -> Mapping[str, Any]:
    """The settings of a run, as its config.toml has them; empty where there is none.

    Raises:
        EvalError: it is there and cannot be read.
    """
    path = directory.path / "config.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvalError(f"{path} could not be read", cause=str(error)) from error


def per_query(directory: RunDirectory, metric: str = "ndcg@10") -> dict[str, dict[str, float]]:
    """System -> query -> value, from ``per_query.csv``; empty where it is not there.

    Raises:
        EvalError: it is there and cannot be read.
    """
    path = directory.path / "per_query.csv"
    if not path.exists():
        return {}
    values: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                values.setdefault(row["system"], {})[row["query"]] = float(row[metric])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(f"{path} could not be read", cause=str(error)) from error
    return values
