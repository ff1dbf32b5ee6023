"""Every data set by its name, whether it lies at hand or on the hub."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from eval.datasets import beir, bright, choice_jsonl, gpqa, mmlu, mmlu_pro, openstax
from eval.datasets.choice import ChoiceDataset
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import DatasetError

RETRIEVAL = {
    "beir:PATH": "a folder in BEIR's form",
    "beir:NAME": "the folder beir/NAME of the data folder",
    "beir:OWNER/NAME": "a data set of the hub in BEIR's form, such as beir:mteb/scifact",
    "bright:TASK": "a task of BRIGHT, such as bright:biology; bright:biology-long has the long"
    " documents, bright:biology@gpt4_reason the rewritten queries",
    "openstax": "end-of-section questions of college textbooks, judged by the module they end",
}
"""What `retrieval` knows, and what it is."""

CHOICE = {
    "mmlu": "57 subjects, 14,042 questions",
    "mmlu_pro": "up to ten choices, 12,032 questions",
    "gpqa_main": "448 questions of graduate level; gated",
    "gpqa_diamond": "the 198 best of them; gated",
    "openstax": "2,805 end-of-section questions of college textbooks",
    "jsonl:PATH": "your own: a JSON object a line, with id, question, choices, answer_idx, subject",
}
"""What `choice` knows, and what it is."""


def retrieval(
    name: str,
    data_dir: Path | None,
    cache: Path,
    *,
    queries: str = "original",
    split: str = "test",
) -> RetrievalDataset:
    """A retrieval data set.

    Args:
        name: one of `RETRIEVAL`.
        data_dir: local copies, laid out as docs/evaluation.md says.
        cache: folder for what is fetched from the hub.
        queries: `original`, or whose rewriting of BRIGHT's queries, such as `gpt4_reason`.
        split: whose judgements, where there are several.

    Raises:
        DatasetError: the name is unknown, or the data set is missing, incomplete or malformed; the
            way out is the command that gets it.
    """
    kind, _, rest = name.partition(":")
    if queries != "original" and kind != "bright":
        raise DatasetError(
            f"{name} has no {queries} queries", hint="Only BRIGHT has rewritten ones"
        )
    if kind == "beir" and rest:
        return beir.find(rest, data_dir, cache, split)
    if kind == "bright" and rest:
        return bright.find(rest, data_dir, cache, queries)
    if name == "openstax":
        return openstax.retrieval(data_dir)
    raise _unknown(name, RETRIEVAL, CHOICE, "choice")


def choice(
    name: str,
    data_dir: Path | None,
    cache: Path,
    *,
    subjects: Sequence[str] = (),
    split: str = "test",
) -> ChoiceDataset:
    """A multiple-choice data set.

    Args:
        name: one of `CHOICE`.
        data_dir: local copies, laid out as docs/evaluation.md says.
        cache: folder for what is fetched from the hub.
        subjects: only these; all where none is given.
        split: `test`, or `dev` for what settings are tuned on.

    Raises:
        DatasetError: as `retrieval`; or a subject is unknown.
    """
    kind, _, rest = name.partition(":")
    if name == "mmlu":
        dataset = mmlu.find(data_dir, cache, split)
    elif name == "mmlu_pro":
        dataset = mmlu_pro.find(data_dir, cache, split)
    elif name in ("gpqa_main", "gpqa_diamond"):
        dataset = gpqa.find(name, data_dir)
    elif name == "openstax":
        dataset = openstax.choice(data_dir)
    elif kind == "jsonl" and rest:
        dataset = choice_jsonl.find(rest, data_dir)
    else:
        raise _unknown(name, CHOICE, RETRIEVAL, "retrieval")
    return _only(dataset, subjects)


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


def _unknown(
    name: str, known: Mapping[str, str], others: Mapping[str, str], elsewhere: str
) -> DatasetError:
    names = ", ".join(known)
    if name in others or f"{name.partition(':')[0]}:" in {
        f"{n.partition(':')[0]}:" for n in others
    }:
        return DatasetError(f"{name} is a data set of `eval {elsewhere}`", hint=f"Here: {names}")
    return DatasetError(f"There is no data set {name!r}", hint=f"There are {names}")
