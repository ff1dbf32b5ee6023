"""Writes the tables of docs/ anew, from the rows that ship.

.venv/bin/python tools/docs_tables.py

What a table says of a kind of files, a route, an encoder or a recipe, and the references under it,
comes from data/components.py, rag_app/remote/operations.py, retrieval/encoders/rows.toml, recipes
and retrieval/published.toml. Two columns of the recipes are written by hand (`pipeline`, `differs`)
and stay.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from data.components import LOADERS
from rag_app.accounts.rights import right_of
from rag_app.assembly import recipes
from rag_app.commands.recipe_listing import number
from rag_app.remote.operations import CHAT_OPERATIONS, OPERATIONS
from rag_app.settings import recipes as recipe_names
from retrieval.encoders.registry import EncoderRow, built_in

DOCS = Path(__file__).resolve().parent.parent / "docs"
DASH = "–"
_TABLE = re.compile(r"(<!-- table of (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


class References:
    """Sources by number, in the order in which they are first named."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, source: str) -> str:
        """Such as ``[1]``."""
        return f"[{self._numbers.setdefault(source, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        """One a source."""
        return [f"- [{number}] {source}" for source, number in self._numbers.items()]


def encoders(_: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table of all encoders that ship."""
    references = References()
    rows = [_encoder(row, references) for row in built_in().values()]
    head = ["name", "model", "dimension", "pooling", "attention", "licence", "BRIGHT"]
    return [*_markdown([*head, "run by"], rows), "", *references.lines()]


def recipe_table(old: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table of all recipes; `old` has the columns that are written by hand."""
    references = References()
    names = sorted(recipe_names(), key=lambda name: [*old].index(name) if name in old else 99)
    head = ["recipe", "nDCG@10", "queries", "pipeline", "GB", "differs", "source"]
    rows = [_recipe(recipes.load(name), old.get(name, {}), references) for name in names]
    return [*_markdown(head, rows), "", *references.lines()]


def loaders(_: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table of all kinds of files."""
    rows = [
        [f"`{row.name}`", row.help, " ".join(f"`{ending}`" for ending in row.endings), row.needs]
        for row in LOADERS.values()
    ]
    return _markdown(["kind", "what", "endings", "needs"], rows)


def operations(_: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table of all routes below /api."""
    rows = [
        [
            f"`{row.method} /api{row.path}`",
            row.help.split("\n\n")[0].replace("\n", " "),
            right_of(row.name),
        ]
        for row in (*OPERATIONS, *CHAT_OPERATIONS)
    ]
    return _markdown(["route", "what", "needs the right to"], rows)


TABLES: Mapping[str, Callable[[Mapping[str, Mapping[str, str]]], list[str]]] = {
    "encoders": encoders,
    "loaders": loaders,
    "operations": operations,
    "recipes": recipe_table,
}


def renewed(page: str) -> str:
    """A page with all its tables made anew."""

    def made(table: re.Match[str]) -> str:
        return f"{table[1]}{chr(10).join(TABLES[table[2]](cells(table[0])))}\n{table[3]}"

    return _TABLE.sub(made, page)


def cells(text: str) -> dict[str, dict[str, str]]:
    """Name of the row -> column -> cell, of the first table of a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): dict(zip(split[0], row, strict=True)) for row in split[2:]}


def _encoder(row: EncoderRow, references: References) -> list[str]:
    published = f"{row.bright:.1f} {references.number(row.bright_source)}" if row.bright else DASH
    attention = "causal" if row.causal else "bidirectional"
    if row.pooling == "unpublished":
        attention = row.pooling
    return [
        f"`{row.name}`", row.model_id, str(row.dimension),
        row.pooling if row.pool_prefix else f"{row.pooling} of the text",
        attention, row.licence, published, ", ".join(row.backends),
    ]  # fmt: skip


def _recipe(recipe: recipes.Recipe, old: Mapping[str, str], references: References) -> list[str]:
    mean, stages = recipe.expected[0], recipe.stages()
    memory = sum(map(int, re.findall(r"(\d+) GB", " ".join(recipe.needs))))
    repeated = "third parties" in mean.note or "repeat it" in mean.note
    return [
        f"`{recipe.name}`",
        number({"value": mean.value, "comparable": mean.comparable}),
        "live" if stages[0].kind == "llm" else recipe.queries,
        old.get("pipeline", recipe.title),
        str(memory) if memory else DASH,
        old.get("differs", DASH),
        references.number(mean.source) + (", as third parties read it" if repeated else ""),
    ]


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]


if __name__ == "__main__":
    for name in ("api", "documents", "retrievers", "recipes"):
        path = DOCS / f"{name}.md"
        path.write_text(renewed(path.read_text("utf-8")), "utf-8")
