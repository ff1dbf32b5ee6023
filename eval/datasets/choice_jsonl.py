"""Your own multiple-choice questions, a JSON object a line.

Fields: ``id``, ``question``, ``choices`` (or ``options``), ``answer_idx`` from 0 (or ``answer``,
its letter) and, to have results by it, ``subject`` (or ``book``). Others are ignored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset, Question
from eval.datasets.reading import bad, records, revision
from eval.errors import DatasetError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HINT = (
    'Each line must look like {"id": "1", "question": "...", "choices": ["...", "..."], '
    '"answer_idx": 0, "subject": "optional"}'
)


def load_asked(asked: Asked) -> ChoiceDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.argument, asked.data_dir)


def find(text: str, data_dir: Path | None) -> ChoiceDataset:
    """The file of that path, which may be one within the data folder.

    ``passages.jsonl`` beside it is taken as the corpus that goes with it.

    Raises:
        DatasetError: as `load`.
    """
    path = Path(text)
    if not path.is_file() and data_dir and (data_dir / text).is_file():
        path = data_dir / text
    beside = path.with_name("passages.jsonl")
    return whole(f"jsonl:{text}", load(path), corpus=beside if beside.is_file() else None)


def load(path: Path) -> list[Question]:
    """The questions of a file. Raises DatasetError: the file, or the named line, cannot be read."""
    return list(read(path, records(path, _HINT)))


def read(
    source: Path | str, numbered: Iterable[tuple[int, Mapping[str, Any]]], hint: str = _HINT
) -> Iterator[Question]:
    """Questions from records with the numbers of their lines.

    Raises:
        DatasetError: a record is no question; it names the source, the line and the reason.
    """
    for number, record in numbered:
        try:
            yield question(record)
        except ValueError as error:
            raise bad(source, number, str(error), hint) from error


def question(record: Mapping[str, Any]) -> Question:
    """A question from its fields.

    Raises:
        ValueError: a field is missing or malformed; the message says which and how.
    """
    text, choices = record.get("question"), record.get("choices", record.get("options"))
    if not isinstance(text, str) or not text.strip():
        raise ValueError("it has no question that is a text")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise ValueError("it has no choices (or options) that are a list of texts")
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"it has {len(choices)} choices; 2 to {len(LETTERS)} can be lettered")
    identity = record.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise ValueError("it has no id that is a text or a whole number")
    subject = record.get("subject", record.get("book")) or ""
    if not isinstance(subject, str):
        raise ValueError("its subject is no text")  # noqa: TRY004 - one error for all
    return Question(str(identity), text, tuple(choices), _answer(record, len(choices)), subject)


def _answer(record: Mapping[str, Any], choices: int) -> int:
    index, letter = record.get("answer_idx"), record.get("answer")
    if index is None and letter is None:
        raise ValueError("it has neither answer_idx nor answer")
    if index is None:
        if not isinstance(letter, str) or len(letter) != 1 or letter.upper() not in LETTERS:
            raise ValueError(f"its answer {letter!r} is no letter; give answer_idx, from 0")
        index = LETTERS.index(letter.upper())
    if isinstance(index, bool) or not isinstance(index, int):
        raise ValueError(f"its answer_idx {index!r} is no whole number")  # noqa: TRY004 - as above
    if not 0 <= index < choices:
        raise ValueError(f"its answer_idx {index} points at none of {choices} choices (from 0)")
    if isinstance(letter, str) and letter in LETTERS and LETTERS.index(letter) != index:
        raise ValueError(f"its answer_idx {index} and its answer {letter} differ")
    return index


def whole(
    name: str, questions: Iterable[Question], *, private: bool = False, corpus: Path | None = None
) -> ChoiceDataset:
    """The data set of questions, whose ids must differ.

    Raises:
        DatasetError: there are no questions, or an id stands twice.
    """
    kept: dict[str, Question] = {}
    for one in questions:
        if one.id in kept:
            raise DatasetError(f"{name} has two questions with the id {one.id!r}")
        kept[one.id] = one
    if not kept:
        raise DatasetError(f"{name} has no questions")
    found = tuple(kept.values())
    return ChoiceDataset(name, found, revision(map(asdict, found)), private, corpus)
