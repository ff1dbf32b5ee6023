"""Generated questions about a collection, each with the passage that answers it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from data.files import write_text
from eval.errors import EvalError

Kind = Literal["llm", "heading", "cloze"]
"""How a question was made: by a language model; of the passage's headings and the rare words of
one of its sentences; of a sentence whose rarest word is blanked out."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage lies. Unlike its passage id, this is the same in every encoder's index.

    Attributes:
        page: page, slide or sheet, from 1; None where the format has none.
        char_start: offset of its first character in the text of the page (or document).
        char_end: offset behind its last one.
    """

    source: str
    page: int | None
    char_start: int
    char_end: int

    @property
    def id(self) -> str:
        """``source#page:char_start``, with nothing for a page that is not there."""
        return f"{self.source}#{'' if self.page is None else self.page}:{self.char_start}"

    def overlap(self, other: "Place") -> int:
        """Characters that both hold."""
        if (self.source, self.page) != (other.source, other.page):
            return 0
        shared = min(self.char_end, other.char_end) - max(self.char_start, other.char_start)
        return max(0, shared)

    def holds_half_of(self, gold: "Place") -> bool:
        """Whether half or more of the characters of `gold` lie in here."""
        return 2 * self.overlap(gold) >= gold.char_end - gold.char_start > 0


@dataclass(frozen=True, slots=True)
class GeneratedQuestion:
    """A question and where its answer is."""

    id: str
    question: str
    kind: Kind
    model: str
    gold: Place


def questions_path(storage: Path, collection: str) -> Path:
    """Where the questions about a collection are kept."""
    return storage / "evaluations" / "questions" / f"{collection}.jsonl"


def write(path: Path, questions: Iterable[GeneratedQuestion]) -> None:
    """Write the set, a line a question, in the place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(_flat(question), ensure_ascii=False) for question in questions)
    write_text(path, "".join(f"{line}\n" for line in lines))


def read(path: Path) -> list[GeneratedQuestion]:
    """The kept set. Raises EvalError: the file cannot be read, or is not one of these."""
    try:
        lines = path.read_text("utf-8").split("\n")
        return [_question(json.loads(line)) for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        raise EvalError(
            f"the questions in {path} cannot be read",
            cause=str(error),
            hint="Make new ones with --fresh",
        ) from error


def revision(questions: Sequence[GeneratedQuestion]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of all of them."""
    content = json.dumps([_flat(question) for question in questions], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _flat(question: GeneratedQuestion) -> dict[str, object]:
    fields = asdict(question)
    return {**{key: fields[key] for key in fields if key != "gold"}, **asdict(question.gold)}


def _question(line: dict[str, object]) -> GeneratedQuestion:
    place = {key: line.pop(key) for key in ("source", "page", "char_start", "char_end")}
    return GeneratedQuestion(**line, gold=Place(**place))  # type: ignore[arg-type]
