"""Tables in PDF: values under their own row label and full header, as the loader reads them.

    .venv/bin/python -m benchmarks.pdf_tables [--verbose] [--seed 7]

Draws the tables of `benchmarks.table_set`. A value counts where one row of a grid holds it and its
row's label, and its column's cells above it hold every word of its header. Tables of following
pages with as many columns are joined. What libraries make of them: docs/decisions/0013.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import arguments, heading, table
from benchmarks.table_set import Fact, table_set
from data.blocks import Block
from data.loaders.pdf import load

Rows = list[list[str]]


def by_loader(path: Path) -> Iterator[Rows]:
    """Tables by this project's loader."""
    for block in load(path):
        if isinstance(block, Block) and block.table is not None:
            yield [list(row) for row in block.table.rows]


def grids(tables: Iterator[Rows]) -> list[Rows]:
    """Tables, those of as many columns joined that follow one another."""
    joined: list[Rows] = []
    for rows in tables:
        if joined and rows and len(joined[-1][0]) == len(rows[0]):
            joined[-1] = [*joined[-1], *rows]
        elif rows:
            joined.append(rows)
    return joined


def right(fact: Fact, tables: list[Rows]) -> bool:
    """Whether a table has the value in a row with its label, under its whole header."""
    label, value = _plain(fact.label), _plain(fact.value)
    words = {word for part in fact.header for word in _plain(part).split()}
    for rows in tables:
        for at, row in enumerate(rows):
            cells = [_plain(cell) for cell in row]
            if label not in cells or value not in cells:
                continue
            column = cells.index(value)
            over = [_plain(cells[column]).split() for cells in rows[:at] if column < len(cells)]
            if words <= {word for cell in over for word in cell}:
                return True
    return False


def _plain(text: str) -> str:
    return " ".join(text.replace("**", "").split())


def main() -> None:
    """Print the shares and the time."""
    parser = arguments("Tables in PDF")
    parser.add_argument("--verbose", action="store_true", help="one line a table")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    heading("Tables in PDF")
    shares, found, seconds = {}, [], 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for drawn in table_set(Path(scratch), chosen.seed):
            began = time.process_time()
            tables = grids(by_loader(drawn.path))
            seconds += time.process_time() - began
            hits = [right(fact, tables) for fact in drawn.facts]
            shares[drawn.name] = sum(hits) / len(hits)
            found += hits
    whole = sum(share == 1 for share in shares.values())
    table(
        ["values right, mean of tables", "of all values", "tables right", "CPU s"],
        [[f"{sum(shares.values()) / len(shares):.1%}", f"{sum(found) / len(found):.1%}",
          f"{whole} of {len(shares)}", f"{seconds:.1f}"]],
    )  # fmt: skip
    if chosen.verbose:
        table(["table", "share"], [[name, f"{share:.0%}"] for name, share in shares.items()])


if __name__ == "__main__":
    main()
