"""The registry of evaluation data sets: every one by its name, local or on the hub.

A row names a function that takes `eval.datasets.asked.Asked` and returns the data set. To add one,
write its module and its row here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data.registry import Row, registry
from eval.datasets.answers_jsonl import OpenDataset
from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import DatasetError

_BEIR, _GPQA = "eval.datasets.beir:load_asked", "eval.datasets.gpqa:load_asked"
RETRIEVAL = registry(
    Row("beir:PATH", _BEIR, "a folder in BEIR's form"),
    Row("beir:NAME", _BEIR, "the folder beir/NAME of the data folder"),
    Row("beir:OWNER/NAME", _BEIR, "one of the hub in BEIR's form, such as beir:mteb/scifact"),
    Row(
        "bright:TASK", "eval.datasets.bright:load_asked",
        "a task of BRIGHT, such as bright:biology; bright:biology-long has the long documents, "
        "bright:biology@gpt4_reason the rewritten queries",
    ),
    Row(
        "openstax", "eval.datasets.openstax:load_retrieval",
        "end-of-section questions of college textbooks, judged by the module they end",
    ),
)  # fmt: skip
"""What `eval retrieval` measures on."""
CHOICE = registry(
    Row("mmlu", "eval.datasets.mmlu:load_asked", "57 subjects, 14,042 questions"),
    Row("mmlu_pro", "eval.datasets.mmlu_pro:load_asked", "up to ten choices, 12,032 questions"),
    Row("gpqa_main", _GPQA, "448 questions of graduate level; gated"),
    Row("gpqa_diamond", _GPQA, "the 198 best of them; gated"),
    Row(
        "openstax", "eval.datasets.openstax:load_choice",
        "2,805 end-of-section questions of college textbooks",
    ),
    Row(
        "jsonl:PATH", "eval.datasets.choice_jsonl:load_asked",
        "your own: a JSON object a line, with id, question, choices, answer_idx, subject",
    ),
)  # fmt: skip
"""What `eval choice` asks."""

ANSWERS = registry(
    Row(
        "jsonl:PATH", "eval.datasets.answers_jsonl:load_asked",
        "your own: a JSON object a line, with id, question, and maybe answerable and document",
    ),
)  # fmt: skip
"""What `eval answers` asks."""


def retrieval(
    name: str, data_dir: Path | None, cache: Path, *, queries: str = "original", split: str = "test"
) -> RetrievalDataset:
    """A retrieval data set; the arguments are those of `Asked`.

    Raises:
        DatasetError: the name is unknown, or the data set is missing, incomplete or malformed; the
            hint is the command that gets it.
    """
    if queries != "original" and not name.startswith("bright:"):
        raise DatasetError(
            f"{name} has no {queries} queries", hint="Only BRIGHT has rewritten ones"
        )
    row = _row(name, RETRIEVAL, CHOICE, "choice")
    dataset: RetrievalDataset = row.load()(Asked(name, data_dir, cache, split, queries))
    return dataset


def choice(
    name: str,
    data_dir: Path | None,
    cache: Path,
    *,
    subjects: Sequence[str] = (),
    split: str = "test",
) -> ChoiceDataset:
    """A multiple-choice data set; the other arguments are those of `Asked`.

    Args:
        subjects: only these; all where none is given.
        split: `test`, or `dev` for what settings are tuned on.

    Raises:
        DatasetError: as `retrieval`; or a subject is unknown.
    """
    row = _row(name, CHOICE, RETRIEVAL, "retrieval")
    dataset: ChoiceDataset = row.load()(Asked(name, data_dir, cache, split))
    return _only(dataset, subjects)


def answers(name: str, data_dir: Path | None, cache: Path) -> OpenDataset:
    """Questions to be answered in free words; raises as `retrieval`."""
    row = _row(name, ANSWERS, CHOICE, "choice")
    dataset: OpenDataset = row.load()(Asked(name, data_dir, cache))
    return dataset


def listed(rows: Iterable[str]) -> str:
    """The names of a registry in a line, for help and messages."""
    return ", ".join(rows)


def _find(name: str, rows: Mapping[str, Row]) -> Row | None:
    kind, colon, rest = name.partition(":")
    if not colon:
        return rows.get(name)
    return next((row for key, row in rows.items() if rest and key.startswith(f"{kind}:")), None)


def _row(name: str, rows: Mapping[str, Row], others: Mapping[str, Row], elsewhere: str) -> Row:
    found = _find(name, rows)
    if found:
        return found
    if _find(name, others):
        raise DatasetError(
            f"{name} is a data set of `eval {elsewhere}`", hint=f"Here: {listed(rows)}"
        )
    raise DatasetError(f"There is no data set {name!r}", hint=f"There are {listed(rows)}")


def _only(dataset: ChoiceDataset, subjects: Sequence[str]) -> ChoiceDataset:
    """The questions of some subjects; its revision stays that of the whole."""
    if not subjects:
        return dataset
    known = {_plain(question.subject): question.subject for question in dataset.questions}
    unknown = [subject for subject in subjects if _plain(subject) not in known]
    if unknown:
        raise DatasetError(
            f"{dataset.name} has no subject {unknown[0]!r}",
            hint=f"It has {', '.join(sorted(known.values())) or 'none'}",
        )
    wanted = {known[_plain(subject)] for subject in subjects}
    return replace(dataset, questions=[q for q in dataset.questions if q.subject in wanted])


def _plain(subject: str) -> str:
    return subject.lower().replace("-", "_").replace(" ", "_")
