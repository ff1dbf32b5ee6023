"""What an adaptation came to, as a report, and as the files that other programs read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from data.files import write_text
from eval.errors import EvalError
from eval.report import plots, rendering
from eval.report.document import Block, Plot, Report, Section, Table, Text, Verdict
from eval.report.wording import count, decimal, interval, is_probability, signed
from eval.report.writing import MARKDOWN, PAGE, VERDICT

Losses = Sequence[Mapping[str, float]]
"""Step, loss and rate of each step."""
_POINTS: Final = 10
"""Of the curve of the loss."""


def write(
    out: Path,
    document: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    losses: Losses,
) -> None:
    """Write `adapt.json`, `metrics.json`, `samples.jsonl` and the reports with their verdict.

    Args:
        out: the folder.
        document: the result of `rag-app adapt`.
        samples: each question of the test with its nDCG@10 before and after.
        losses: of the training.
    """
    shown = report(document, losses)
    systems = {one["encoder"]: {"ndcg@10": one["ndcg@10"]}
               for one in (document["before"], document["after"])}  # fmt: skip
    files = {
        "adapt.json": json.dumps({**document, "losses": losses}, ensure_ascii=False, indent=1),
        "samples.jsonl": "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in samples),
        MARKDOWN: rendering.markdown(shown),
        PAGE: rendering.html(shown),
        VERDICT: json.dumps(asdict(shown.verdict), ensure_ascii=False),
        "metrics.json": json.dumps({"systems": systems}, indent=1),
    }
    for file, text in files.items():
        write_text(out / file, text)


def report(document: Mapping[str, Any], losses: Losses) -> Report:
    """The report: whether it is better, by how much, the loss, and what got worse."""
    before, after = document["before"], document["after"]
    sections = [Section("Training", [_loss(losses)] if losses else [])]
    if document["lost"]:
        rows = [
            (one["question"], decimal(one["before"], 2), decimal(one["after"], 2))
            for one in document["lost"]
        ]
        worse = Table("nDCG@10 of the questions that lost most", ("", "before", "after"), rows)
        sections.append(Section("What got worse", [worse]))
    return Report(
        title=f"{document['name']}, trained on collection {document['collection']}",
        kicker=f"Adaptation of encoder {before['encoder']}",
        verdict=Verdict(
            _outcome(document),
            evidence(document),
            _reasons(document),
            [
                ("nDCG@10 before", decimal(before["ndcg@10"], 4)),
                ("after", decimal(after["ndcg@10"], 4)),
                ("examples", count(document["train"]["examples"])),
                ("test questions", count(document["test"])),
            ],
        ),
        sections=sections,
    )


def _outcome(document: Mapping[str, Any]) -> str:
    if document["better"]:
        return "It is better beyond chance"
    _, highest = document["delta"]["ci95"]
    return "It is worse beyond chance" if highest < 0 else "It is not better beyond chance"


def evidence(document: Mapping[str, Any]) -> str:
    """The numbers that decide, in one line."""
    delta, old, new = document["delta"], document["before"], document["after"]
    return (
        f"nDCG@10 {decimal(old['ndcg@10'], 4)} → {decimal(new['ndcg@10'], 4)}: "
        f"{signed(delta['points'], 2)} points, 95 % {interval(delta['ci95'], 2)}, "
        f"{is_probability(delta['p'])}; {delta['wins']} better, {delta['losses']} worse, "
        f"{delta['ties']} alike"
    )


def _reasons(document: Mapping[str, Any]) -> list[str]:
    name, before, guard = document["name"], document["before"]["encoder"], document["guard"]
    asked = document["questions"]
    reasons = [f"The {document['test']} questions of the test: {asked}, of documents held out."]
    if guard:
        points, p = signed(guard["points"], 2), is_probability(guard["p"])
        reasons.append(f"The guard's questions: {points} points, {p}.")
    else:
        reasons.append("No guard set was given: what it may have forgotten was not measured.")
    where = f"-c {document['collection']}"
    reasons.append(
        f"It is in use. `rag-app indexes use {before} {where}` goes back."
        if document["switched"]
        else f"{before} is still in use. `rag-app indexes use {name} {where}` would change that."
    )
    return reasons


def _loss(losses: Losses) -> Block:
    """The loss as a curve of a few means, since single steps jump."""
    first, last = losses[0]["loss"], losses[-1]["loss"]
    summary = (
        f"{len(losses)} steps, loss {decimal(first)} at the first and {decimal(last)} at the last"
    )
    try:
        plots.require_matplotlib()
    except EvalError:
        return Text(f"{summary}.")
    size = math.ceil(len(losses) / _POINTS)
    parts = [losses[at : at + size] for at in range(0, len(losses), size)]
    means = [sum(one["loss"] for one in part) / len(part) for part in parts]
    curve = plots.Series("loss", [part[-1]["step"] for part in parts], means)
    drawn = plots.curves([curve], name="loss", x_axis="step", y_axis="loss", log2=False)
    return Plot(drawn, f"Loss, each point the mean of {size} steps", summary)
