"""Questions to be answered from a collection, a JSON object a line.

Fields: ``id``, ``question``, and, where known, ``answerable`` (false where the documents do not
hold the answer) and ``document`` (name of the one that does). Others are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.datasets.asked import Asked
from eval.datasets.reading import bad, identifier, records, revision
from eval.errors import DatasetError

_HINT = 'Each line must look like {"id": "1", "question": "...", "answerable": true}'


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that is answered in free words.

    Attributes:
        answerable: whether the documents hold the answer.
        document: name of the document that does; empty where it is not known.
    """

    id: str
    question: str
    answerable: bool = True
    document: str = ""


@dataclass(frozen=True)
class OpenDataset:
    """Questions with their revision; `private` as in `eval.datasets.choice.ChoiceDataset`."""

    name: str
    questions: Sequence[OpenQuestion]
    revision: str
    private: bool = False


def load_asked(asked: Asked) -> OpenDataset:
    """The file of the path behind ``jsonl:``, which may be one within the data folder.

    Raises:
        DatasetError: it cannot be read, a line is malformed, or an id stands twice.
    """
    path = Path(asked.argument)
    if not path.is_file() and asked.data_dir and (asked.data_dir / path).is_file():
        path = asked.data_dir / path
    found: dict[str, OpenQuestion] = {}
    for number, record in records(path, _HINT):
        try:
            one = _question(record)
        except ValueError as error:
            raise bad(path, number, str(error), _HINT) from error
        if one.id in found:
            raise bad(path, number, f"the id {one.id!r} stands twice", _HINT)
        found[one.id] = one
    if not found:
        raise DatasetError(f"{asked.name} has no questions", hint=_HINT)
    questions = tuple(found.values())
    return OpenDataset(asked.name, questions, revision(map(asdict, questions)))


def _question(record: Mapping[str, Any]) -> OpenQuestion:
    name, text = identifier(record), record.get("question")
    if name is None or not isinstance(text, str) or not text.strip():
        raise ValueError("it has no id or no question")
    answerable, document = record.get("answerable", True), record.get("document") or ""
    if not isinstance(answerable, bool) or not isinstance(document, str):
        raise ValueError("answerable is neither true nor false, or document is no text")  # noqa: TRY004
    return OpenQuestion(name, text, answerable, document)
