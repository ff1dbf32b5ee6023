"""Questions about a collection, what answers them, and how they are parted for training."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eval.errors import EvalError
from retrieval.training.pairs import Passage

_HINT = 'Each line: {"question": ..., and one of "document", "passage_id" and "text"}'
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what answers it.

    Attributes:
        gold: the document, or the pre-cut passage, that answers it.
        text: the words that do; empty where they are not known.
    """

    question: str
    gold: str
    text: str = ""


def read(path: Path, passages: Sequence[Passage]) -> list[Question]:
    """The questions of a file, of which the collection has what answers them.

    Raises:
        EvalError: the file cannot be read, a line is no question, or the collection lacks what
            answers it; names the line.
    """
    known = {passage.id for passage in passages}
    singles = {one.passage_id: one for one in passages if one.passage_id}
    holders = {passage.text: passage.id for passage in passages}
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"questions cannot be read from {path}", cause=str(error)) from error
    return [
        _question(f"{path}, line {number}", line, known, singles, holders)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _question(
    where: str,
    line: str,
    known: set[str],
    singles: Mapping[str, Passage],
    holders: Mapping[str, str],
) -> Question:
    try:
        record = json.loads(line)
        question, text = str(record["question"]), str(record.get("text") or "")
        gold = record.get("passage_id") or record.get("document")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvalError(f"{where} is no question", cause=str(error), hint=_HINT) from error
    if not gold and text:
        gold = next((name for body, name in holders.items() if text in body), None)
    if str(gold) not in known and (single := singles.get(str(gold))):  # as a search names passages
        gold, text = single.id, text or single.indexed
    if str(gold) not in known or not question.strip():
        raise EvalError(
            f"{where} names nothing that the collection has",
            cause=f"there is no {gold or 'passage with that text'}",
            hint=_HINT,
        )
    return Question(question, str(gold), text)


def part(keys: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Those of the keys that are held out of training: a share, by their names and the seed."""
    unit = float(1 << 64)

    def place(key: str) -> float:
        return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8]) / unit

    return frozenset(key for key in keys if place(key) < share)
