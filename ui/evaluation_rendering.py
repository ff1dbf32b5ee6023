"""HTML of the evaluation page: runs, and the frame that a report is shown in.

A report is a page of its own, which may hold other people's words: its frame may run nothing.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from ui.evaluation_runs import REPORT, EvaluationRun
from ui.rendering import hint, problem

REPORTS: Final = "/evaluations/"
"""Where reports are served: a run's name and the file's follow."""
_KINDS: Final = {
    "retrieval": "Retrieval", "choice": "Multiple choice", "answers": "Answers",
    "external": "Scored run", "score": "Scored run", "compare": "Two runs", "gate": "Two runs",
    "adapt": "Adaptation",
}  # fmt: skip
_MEASURES: Final = {"accuracy": "accuracy", "ndcg@10": "nDCG@10"}
_MOST_ROWS: Final = 6


def under_way(runs: Sequence[EvaluationRun]) -> str:
    """The runs that go on, with how far they are; empty where none does."""
    return "".join(_under_way(run) for run in runs if run.state == "running")


def finished(runs: Sequence[EvaluationRun], *, reports: bool = True) -> str:
    """All other runs, each with what can be done with it; `reports` are opened beside the list."""
    ended = [run for run in runs if run.state != "running"]
    if not ended:
        return hint("No runs yet.")
    return f'<ul class="runs">{"".join(_finished(run, reports) for run in ended)}</ul>'


def frame(name: str) -> str:
    """A report, closed in: no scripts, no forms, and nothing of this page in its reach.

    `ui/report.js` opens it in the page's theme.
    """
    return (
        f'<div class="report-frame"><p><b>{escape(name)}</b>'
        f"{report_link(name, 'Open in a new tab')}</p>"
        f'<iframe sandbox data-report="{_address(name)}" title="Report of {escape(name)}" '
        'referrerpolicy="no-referrer"></iframe></div>'
    )


def report_link(name: str, label: str) -> str:
    """A link to a report as a page of its own."""
    return (
        f'<a class="link" href="{_address(name)}" target="_blank" rel="noopener noreferrer">'
        f"{escape(label)}</a>"
    )


def _address(name: str) -> str:
    return f"{REPORTS}{escape(name)}/{REPORT}"


def _under_way(run: EvaluationRun) -> str:
    progress = run.progress
    done, total = _number(progress.get("done")), _number(progress.get("total"))
    share = 100 * min(1.0, done / total) if total else 0
    parts = [f"{done:,.0f} of {total:,.0f}"] if total else ["Getting ready"]
    if (speed := _number(progress.get("tokens_per_second"))) > 0:
        parts.append(f"{speed:,.0f} tokens/s")
    if total and (left := _number(progress.get("eta"))) > 0:
        parts.append(f"{duration(left)} left")
    failed = [f"{_number(progress.get(what)):,.0f} {what}" for what in ("unparsed", "errors")
              if _number(progress.get(what))]  # fmt: skip
    scores = _scores("accuracy", progress.get("accuracy"))
    message = f"<small>{escape(str(progress.get('message') or ''))}</small>"
    return (
        f'<section class="run running" data-run="{escape(run.name)}"><header>{_title(run)}'
        f"{_button('stop', run.name, 'Stop')}</header>"
        f'<div class="progress" role="status"><div class="track"><span style="width:{share:.1f}%">'
        f"</span></div><p>{' · '.join([*parts, *failed])}</p>{message}</div>{scores}</section>"
    )


def _finished(run: EvaluationRun, reports: bool) -> str:
    buttons = [_button("report", run.name, "Report")] if run.has_report and reports else []
    if run.state in {"failed", "interrupted"}:
        buttons.append(_button("resume", run.name, "Resume"))
    buttons.append(_button("remove", run.name, "Delete"))
    message = problem(run.message) if run.message else ""
    verdict = f'<p class="verdict">{escape(run.verdict)}.</p>' if run.verdict else ""
    done = run.progress.get("done"), run.progress.get("total")
    reached = ""
    if run.state == "interrupted" and _number(done[1]):
        reached = f'<p class="about">{_number(done[0]):,.0f} of {_number(done[1]):,.0f} done</p>'
    return (
        f'<li class="run {run.state}" data-run="{escape(run.name)}"><header>{_title(run)}'
        f'<span class="acts">{"".join(buttons)}</span></header>'
        f"{verdict}{_scores(run.measure, run.headline)}{reached}{message}</li>"
    )


def _title(run: EvaluationRun) -> str:
    when = time.strftime("%d %b %H:%M", time.localtime(run.begun))
    state = "" if run.state in {"done", "running"} else f'<i class="state">{run.state}</i> · '
    parts = (_KINDS.get(run.kind, ""), _MEASURES.get(run.measure, ""), when)
    return (
        f'<div title="{escape(run.dataset)}"><b>{escape(_short(run.dataset) or run.name)}</b>'
        f"<small>{state}{' · '.join(part for part in parts if part)}</small></div>"
    )


def _short(dataset: str) -> str:
    """A data set's name, with a whole path cut to its last part."""
    kind, colon, rest = dataset.rpartition(":")
    return f"{kind}{colon}{rest.rstrip('/').rpartition('/')[2]}" if rest[:1] == "/" else dataset


def _button(act: str, name: str, label: str) -> str:
    return (
        f'<button type="button" class="act" data-act="{act}" data-run="{escape(name)}" '
        f'aria-label="{label} {escape(name)}">{label}</button>'
    )


def _scores(measure: str, scores: object) -> str:
    """A bar for each arm or system, all on one scale from 0 to 1."""
    if not isinstance(scores, Mapping) or not scores:
        return ""
    rows = "".join(_score(measure, *row) for row in _rows(scores))
    left = len(scores) - _MOST_ROWS
    more = f'<p class="about">and {left} more in the report</p>' if left > 0 else ""
    return f'<dl class="scores">{rows}</dl>{more}'


def _rows(scores: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    return [(str(name), _number(value)) for name, value in scores.items()][:_MOST_ROWS]


def _score(measure: str, name: str, value: float) -> str:
    shown = f"{value:.1%}" if measure == "accuracy" else f"{value:.3f}"
    width = 100 * min(1.0, max(0.0, value))
    return (
        f'<div><dt title="{escape(name)}">{escape(name.replace("_", " "))}</dt>'
        f'<dd><span class="bar" style="width:{width:.1f}%"></span></dd><dd>{shown}</dd></div>'
    )


def duration(seconds: float) -> str:
    """A span of time as a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _number(value: object) -> float:
    """A number from a file that another process writes; 0 for anything else."""
    return float(value) if isinstance(value, int | float) else 0.0
