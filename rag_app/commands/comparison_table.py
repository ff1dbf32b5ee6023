"""A comparison of retrieval systems as people read it: a table of ranks, then of agreement."""

import sys
from collections.abc import Container, Mapping, Sequence
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from rag_app.commands.output import UNWATCHED, harmless, place, short

Document = Mapping[str, Any]


def show(comparison: Document) -> None:
    """Print what `Comparison.as_dict` holds.

    One row a passage, one column a system; behind each rank stands how far the passage moved from
    the first system that found it, up (``▲``) or down (``▼``). A dot stands for "not found".
    """
    console = Console(width=None if sys.stdout.isatty() else UNWATCHED)
    systems = list(comparison["systems"])
    console.print(_ranks(systems, comparison["passages"]))
    console.print(_agreement(comparison["overlap"], comparison["depth"]))


def _ranks(systems: Sequence[str], passages: Sequence[Document]) -> Table:
    table = _table([*systems, "passage"], texts={len(systems)})
    for passage in passages:
        ranks = passage["ranks"]
        reference = next(ranks[name] for name in systems if name in ranks)
        table.add_row(
            *(_moved(ranks.get(name), reference) for name in systems),
            _plain(f"{place(passage)}\n{short(passage['text'], 100)}"),
        )
    return table


def _agreement(overlap: Sequence[Document], depth: int) -> Table:
    head = ["a", "b", f"shared of {depth}", "jaccard", "rank-biased overlap", "mean move"]
    table = _table(head, texts={0, 1})
    for pair in overlap:
        moves = pair["mean_rank_difference"]
        table.add_row(
            _plain(pair["a"]),
            _plain(pair["b"]),
            str(pair["shared"]),
            f"{pair['jaccard']:.2f}",
            f"{pair['rbo']:.2f}",
            "·" if moves is None else f"{moves:.1f}",
        )
    return table


def _moved(rank: int | None, reference: int) -> Text:
    if rank is None:
        return Text("·", style="dim")
    if rank == reference:
        return Text(str(rank))
    sign, style = ("▲", "green") if rank < reference else ("▼", "red")
    return Text.assemble(str(rank), (f" {sign}{abs(rank - reference)}", style))


def _table(head: Sequence[str], texts: Container[int]) -> Table:
    """A table whose columns at `texts` hold text, and whose others hold numbers."""
    table = Table(box=None, padding=(0, 2, 1, 0))
    for number, name in enumerate(head):
        justify: JustifyMethod = "left" if number in texts else "right"
        table.add_column(_plain(name), overflow="fold", justify=justify)
    return table


def _plain(text: str) -> Text:
    return Text(harmless(text))
