"""Arms: the same questions under conditions that differ in nothing but the passages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from eval.errors import EvalError
from rag_app.errors import SettingsError
from rag_app.service import DEFAULT_OPTIONS, QueryOptions
from rag_app.settings import Settings
from rag_app.systems import grammar

Kind = Literal["closed_book", "rag", "random"]
_HINT = "Name some of closed_book, rag, rag:SYSTEM and random; NAME#2 asks an arm again"


class UnknownArm(EvalError, SettingsError):
    """The name of an arm cannot be understood: wrong usage."""


@dataclass(frozen=True)
class Arm:
    """One condition.

    Attributes:
        name: as it was asked for, such as ``rag:bm25+qwen`` or ``closed_book#2``.
        kind: no passages, those that a pipeline finds, or random ones as many and as long.
        options: what passages are searched with; the settings' own pipeline where nothing is said.
        replicate: from 1; above that, answers never come from the cache, so that what differs is
            noise.
    """

    name: str
    kind: Kind
    options: QueryOptions = DEFAULT_OPTIONS
    replicate: int = 1


def parse_all(text: str) -> list[Arm]:
    """The arms that a comma-separated list names.

    A random arm takes its measure from the first arm that retrieves, or, without one, from the
    settings' pipeline.

    Raises:
        UnknownArm: a name cannot be understood, or is there twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UnknownArm(
            f"arm {twice} is named twice", hint=f"{twice}#2 is the same arm asked again"
        )
    if not names:
        raise UnknownArm("no arm is named", hint=_HINT)
    arms = [_parse(name) for name in names]
    model = next((arm.options for arm in arms if arm.kind == "rag"), DEFAULT_OPTIONS)
    return [
        Arm(arm.name, arm.kind, model, arm.replicate) if arm.kind == "random" else arm
        for arm in arms
    ]


def _parse(name: str) -> Arm:
    plain, mark, number = name.partition("#")
    if mark and not (number.isascii() and number.isdigit() and int(number) > 1):
        raise UnknownArm(
            f"arm {name!r} is not understood",
            cause="behind # stands which replicate it is, from 2",
            hint=_HINT,
        )
    replicate = int(number) if mark else 1
    kind, colon, system = plain.partition(":")
    if colon and kind == "rag":
        return Arm(name, "rag", grammar.parse(system).options, replicate)
    if colon or kind not in get_args(Kind):
        raise UnknownArm(f"arm {name!r} is unknown", hint=_HINT)
    return Arm(name, kind, replicate=replicate)  # type: ignore[arg-type]  # checked just above


def resolve(arm: Arm, settings: Settings) -> Arm:
    """The arm with everything said that may be said of a search.

    An application that runs already searches with settings of its own where nothing is said.
    """
    found = settings.retrieval
    defaults = {
        "encoder": settings.encoder.name, "retriever": found.retriever, "top_k": found.top_k,
        "candidates": found.candidates, "fusion": found.fusion, "weight": found.weight,
        "rewrite": settings.rewrite.kind, "rerank": settings.rerank.kind,
    }  # fmt: skip
    chosen = arm.options.model_dump(exclude_none=True)
    return replace(arm, options=QueryOptions.model_validate({**defaults, **chosen}))


def retrieving(arms: Sequence[Arm]) -> list[Arm]:
    """Those that need a collection."""
    return [arm for arm in arms if arm.kind != "closed_book"]
