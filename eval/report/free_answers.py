"""The report of a run over free answers: whether they stand by their citations."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.report.document import Block, Report, Section, Table, Text, Verdict
from eval.report.wording import count, interval, percent

MEANINGS = {
    "citation_recall": "sentences whose quotations stand in passages that they cite",
    "citation_precision": "citations whose passage holds a quotation of the sentence",
    "faithfulness": "quotations that stand in a passage that was found",
    "unquoted": "sentences that quote nothing, so that nothing can be looked up",
    "answered": "answerable questions that got an answer",
    "abstained": "unanswerable questions on which the reader abstained",
    "document_cited": "questions whose document is among those cited",
}
"""What each share is of."""


def report(metrics: Mapping[str, Any], method: Sequence[Section]) -> Report:
    """All that is said about a run."""
    system: Mapping[str, Any] = next(iter(metrics["systems"].values()), {})
    faithful, recall = system.get("faithfulness"), system.get("citation_recall")
    sentence = (
        f"{percent(faithful['value'])} of what answers quote stands in the passages"
        if faithful
        else "The answers quote nothing, so nothing can be looked up"
    )
    evidence = f"95\u00a0% interval {interval(faithful['ci95'], scale=100)}" if faithful else ""
    reasons = [f"{percent(recall['value'])} of the sentences are borne out by passages that they "
               "cite, word for word; a paraphrase is not."] if recall else []  # fmt: skip
    if system.get("errors"):
        reasons.append(f"{count(system['errors'])} questions have no answer, since asking failed.")
    return Report(
        title="Do answers stand by their citations",
        kicker=f"Evaluation of answers · {metrics['dataset']}",
        verdict=Verdict(sentence, evidence, reasons, [("questions", count(metrics["questions"]))]),
        sections=[Section("Shares", _shares(system)), *method],
        footer=f"Data set {metrics['dataset']}, revision {metrics['revision']}.",
    )


def _shares(system: Mapping[str, Any]) -> list[Block]:
    rows = [
        [name.replace("_", " "), percent(found["value"]), interval(found["ci95"], scale=100),
         count(found["n"]), meaning]
        for name, meaning in MEANINGS.items()
        if (found := system.get(name))
    ]  # fmt: skip
    head = ["share", "mean", "95\u00a0% interval", "over", "of"]
    return [
        Table("Means over answers that have any", head, rows, frozenset({4})),
        Text(
            "No model judges here: a quotation is looked up in the passages, case, marks and white "
            "space aside. So what is paraphrased rightly counts as not borne out, and a quotation "
            "that stands there may still be beside the question."
        ),
    ]
