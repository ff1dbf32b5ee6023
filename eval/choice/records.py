"""Samples as the log keeps them."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from eval.choice.sample import ChoiceSample, Shown

_RENAMED = {"chunk_id": "passage_id"}
_FIELDS = frozenset(field.name for field in fields(ChoiceSample))


def key(arm: str, question: str, repeat: int) -> str:
    """The name of a sample in the log."""
    return f"{arm}/{repeat}/{question}"


def record_of(sample: ChoiceSample) -> dict[str, Any]:
    """As plain JSON values."""
    return {"key": key(sample.arm, sample.id, sample.repeat), **asdict(sample)}


def sample_of(record: Mapping[str, Any]) -> ChoiceSample:
    """From what `record_of` gave, whatever else was added to it."""
    values = {name: value for name, value in record.items() if name in _FIELDS}
    values["order"] = tuple(values["order"])
    values["passages"] = tuple(map(_shown, values.get("passages", ())))
    return ChoiceSample(**values)


def is_correct(record: Mapping[str, Any]) -> bool:
    """Whether the right choice was chosen, see `ChoiceSample.correct`."""
    return bool(record["state"] == "ok" and record["chosen"] == record["answer"])


def _shown(passage: Mapping[str, Any]) -> Shown:
    """From a record, of an earlier version too, which said ``chunk_id``."""
    return Shown(**{_RENAMED.get(name, name): value for name, value in passage.items()})
