"""Recipes as people read them: a table of all, or everything about one."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_app.commands.output import UNWATCHED, harmless

Document = Mapping[str, Any]

ALL_TASKS = "bright"


def show_all(listing: Document) -> None:
    """One line a recipe, with its published mean over BRIGHT's tasks."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("recipe", "nDCG@10 on BRIGHT", "queries", "what"):
        table.add_column(head, overflow="fold")
    for recipe in listing["recipes"]:
        means = [number(each) for each in recipe["expected"] if each["dataset"] == ALL_TASKS]
        row = [recipe["name"], means[0], recipe["queries"], recipe["title"]]
        table.add_row(*map(_plain, row))
    _console().print(table)
    _print("numbers are published ones, in percent; those in brackets are of another pipeline")


def show(recipe: Document) -> None:
    """Stages in order, needs, published numbers with their sources, and what differs."""
    _print(recipe["title"])
    _print(f"\nqueries: {recipe['queries']}")
    for stage in recipe["stages"]:
        details = ", ".join(
            f"{name} {value}" for name, value in stage.items() if name not in ("stage", "kind")
        )
        _print(f"{stage['stage']}: {stage['kind']}{f' ({details})' if details else ''}")
    _list("\nneeds", recipe["needs"])
    _list("\npublished (nDCG@10 in percent; in brackets: of another pipeline)", _published(recipe))
    _print(f"\ndiffers: {recipe['differs']}")
    _print(f"\n{recipe['run']}")


def number(expected: Document) -> str:
    """In percent, in brackets where it is not the recipe's own."""
    shown = f"{100 * expected['value']:.1f}"
    return shown if expected["comparable"] else f"({shown})"


def _published(recipe: Document) -> list[str]:
    """Each mean with its source, and the tasks under it."""
    lines = []
    for each in recipe["expected"]:
        name = each["dataset"].removeprefix(f"{ALL_TASKS}:")
        if name == ALL_TASKS:
            note = f"; {each['note']}" if each["note"] else ""
            lines.append(f"mean of the tasks {number(each)}: {each['source']}{note}")
        else:
            lines.append(f"  {name} {number(each)}")
    return lines


def _list(title: str, lines: Sequence[str]) -> None:
    _print(f"{title}:")
    for line in lines:
        _print(f"  {line}")


def _print(text: str) -> None:
    _console().print(_plain(text))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else UNWATCHED)


def _plain(text: str) -> Text:
    return Text(harmless(text))
