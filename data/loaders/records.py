"""Nested data as lines: "pump / motor: kW: 4; maker: Orrin"."""

from collections.abc import Iterable, Iterator
from typing import Any

from data.blocks import Block
from data.cleaning import clean, inline, without_blobs
from data.loaders.making import line, paragraph, table

_DEEPEST = 200
_LONG = 400
"""Longer texts are paragraphs of their own."""


def records(value: Any, path: tuple[str, ...] = (), *, listed: bool = False) -> Iterator[Block]:
    """A line for every object, with the values that it holds itself, behind its path.

    Objects inside one that is `listed`, one of many, have its name in their path.
    """
    if isinstance(value, dict):
        yield from _object(value, path, listed=listed)
    elif isinstance(value, list):
        yield from _list(value, path)
    elif text := scalar(value):
        yield _line(path, text)


_NAMES = ("name", "title", "label", "id", "key", "code")
_LONGEST_NAME = 60


def name_of(values: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What an object is called by what it holds, for paths; nothing where that is unknown."""
    short = {key.lower(): text for key, text in values if 0 < len(text) <= _LONGEST_NAME}
    found = next((short[key] for key in _NAMES if key in short), next(iter(short.values()), ""))
    return (found,) if found else ()


def _object(value: dict[str, Any], path: tuple[str, ...], *, listed: bool) -> Iterator[Block]:
    simple: list[tuple[str, str]] = []
    inner: list[tuple[str, Any]] = []
    for key, each in value.items():
        text = scalar(each)
        if text is None:
            inner.append((str(key), each))
        elif len(text) > _LONG:
            inner.append((str(key), text))
        elif text:
            simple.append((inline(str(key)), text))
    if simple:
        yield _line(path, "; ".join(f"{key}: {text}" for key, text in simple))
    if listed:
        path = (*path, *name_of(simple))
    for key, each in inner:
        if isinstance(each, str):
            yield paragraph(f"{' / '.join((*path, inline(key)))}: {each}")
        elif len(path) < _DEEPEST:
            yield from records(each, (*path, inline(key)))


def _list(value: list[Any], path: tuple[str, ...]) -> Iterator[Block]:
    simple = [scalar(each) for each in value]
    if all(isinstance(each, list) for each in value) and None not in simple:
        width = max(map(len, value), default=0)
        rows = (tuple(map(inline, map(str, map(scalar, row)))) for row in value)
        filled = tuple(row + ("",) * (width - len(row)) for row in rows)
        yield from table(filled, title=" / ".join(path[-6:]))
        return
    if all(text is not None for text in simple):
        joined = ", ".join(text for text in simple if text)
        if joined:
            yield _line(path, joined)
        return
    for each in value:
        if len(path) < _DEEPEST:
            yield from records(each, path, listed=True)


def _line(path: tuple[str, ...], text: str) -> Block:
    shown = path[-6:]
    return line(f"{' / '.join(shown)}: {text}" if path else text)


def scalar(value: Any) -> str | None:  # noqa: PLR0911 - one a type
    """A value as text; None for one that holds others."""
    if isinstance(value, dict):
        return None if value else ""
    if isinstance(value, list):
        some = [each for each in value if not isinstance(each, dict | list)]
        if len(some) < len(value):
            return None
        return ", ".join(text for each in some if (text := scalar(each)))
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return without_blobs(clean(value)).strip()
    return str(value)
