"""Training data as it is published: one JSON object a line, with `query`, `pos` and `neg`.

ReasonEmbed's and FlagEmbedding's files hold texts; ReasonEmbed's also `prompt` and
`reasoning_query`. ReasonIR's hold ``[instruction, text]`` in the place of every text. All are read;
what is written is the plain form, which FlagEmbedding and `datasets` read too. `pos_id` and
`neg_id`, where known, say which document or passage a text is.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from retrieval.errors import RetrievalError

TRAIN_FILE = "train.jsonl"
"""The file of examples in the folder of a synthesis."""


class TrainingDataError(RetrievalError):
    """A file of training data that is missing, malformed or too small."""


class Example(BaseModel):
    """A query with what answers it and what only looks as if it did.

    Attributes:
        reasoning_query: the query after reasoning about it, q' of Redapter.
        prompt: instruction of the query; empty for none.
        pos_id: of each in `pos`, what it belongs to; empty if unknown.
        neg_id: the same of each in `neg`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: str = Field(min_length=1)
    pos: list[str] = Field(min_length=1)
    neg: list[str] = []
    reasoning_query: str = ""
    prompt: str = ""
    pos_id: list[str] = []
    neg_id: list[str] = []
    kind: str = ""

    @model_validator(mode="before")
    @classmethod
    def _without_instructions(cls, raw: Any) -> Any:
        """ReasonIR's pairs of instruction and text become the texts, and the query's the prompt."""
        if not isinstance(raw, Mapping):
            return raw
        record = dict(raw)
        query = record.get("query")
        if _is_pair(query):
            record["prompt"], record["query"] = query
        for side in ("pos", "neg"):
            texts = record.get(side)
            if isinstance(texts, list):
                record[side] = [one[1] if _is_pair(one) else one for one in texts]
        return {key: value for key, value in record.items() if value is not None}

    @model_validator(mode="after")
    def _ids_of_all_or_none(self) -> "Example":
        for texts, ids in ((self.pos, self.pos_id), (self.neg, self.neg_id)):
            if ids and len(ids) != len(texts):
                raise ValueError("there is not one id for each text")
        if not all(text.strip() for text in (self.query, *self.pos, *self.neg)):
            raise ValueError("a text is empty")
        return self


def read(path: Path) -> list[Example]:
    """The examples of a file, or of `train.jsonl` in a folder.

    Raises:
        TrainingDataError: there is no such file, or a line is no example; names the line.
    """
    file = path / TRAIN_FILE if path.is_dir() else path
    try:
        lines = file.read_text("utf-8").split("\n")  # JSON may hold other ends of lines
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(
            f"training data cannot be read from {file}",
            cause=str(error),
            hint="Make it with `rag-app synthesize`, or name a folder with train.jsonl",
        ) from error
    return [_parsed(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def write(path: Path, examples: Iterable[Example]) -> int:
    """Write a file that `read` reads; returns how many examples it holds."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            record = example.model_dump(exclude_defaults=True)
            record["neg"] = example.neg  # readers of the published form expect the key
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def texts(examples: Iterable[Example]) -> Iterator[str]:
    """All passages of the examples."""
    for example in examples:
        yield from example.pos
        yield from example.neg


def _is_pair(value: Any) -> TypeGuard[list[str]]:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)
    )


def _parsed(file: Path, number: int, line: str) -> Example:
    try:
        return Example.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise TrainingDataError(
            f"{file}, line {number} is no training example",
            cause=problem,
            hint="Each line is a JSON object with query, pos (a list) and neg (a list)",
        ) from error
