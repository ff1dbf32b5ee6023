"""Tables in PDF: values under their own row label and full header, by this loader and libraries.

    .venv/bin/python -m benchmarks.pdf_tables [--libraries PYTHON] [--verbose]

Draws the tables of `benchmarks.table_set`. A value counts where one row of a grid holds it and its
row's label, and its column's cells above it hold every word of its header; for the loader also
where one passage's line says so ("header: value"). A library's tables of following pages with
as many columns are joined, which favours libraries. `--libraries` names a Python that has
liteparse, pdfplumber and camelot-py; they run there one after the other.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Rows = list[list[str]]


def by_liteparse(path: Path) -> Iterator[Rows]:
    """Tables by liteparse."""
    from liteparse import LiteParse

    parser = LiteParse(
        ocr_enabled=False, quiet=True, num_workers=1, extract_blocks=True, output_format="markdown"
    )
    for page in parser.parse(path).pages:
        for block in page.blocks or []:
            if block.kind == "table":
                rows = [block.header or [], *(block.rows or [])]
                yield [[cell.text for cell in row] for row in rows if row]


def by_pdfplumber(path: Path, strategy: str = "lines") -> Iterator[Rows]:
    """Tables by pdfplumber; cells that a merged one covers are None and take its text."""
    import pdfplumber

    with pdfplumber.open(path) as document:
        for page in document.pages:
            settings = {"vertical_strategy": strategy, "horizontal_strategy": strategy}
            for table in page.extract_tables(settings):
                yield _filled(table)


def by_camelot(path: Path, flavor: str = "lattice") -> Iterator[Rows]:
    """Tables by camelot."""
    import camelot

    for table in camelot.read_pdf(str(path), pages="all", flavor=flavor, suppress_stdout=True):
        yield [[str(cell) for cell in row] for row in table.df.values.tolist()]


def _filled(table: Sequence[Sequence[str | None]]) -> Rows:
    rows: Rows = []
    for row in table:
        cells: list[str] = []
        for index, cell in enumerate(row):
            above = rows[-1][index] if rows and index < len(rows[-1]) else ""
            left = cells[-1] if cells else above
            cells.append(cell if cell is not None else (left if len(rows) < 2 else above))
        rows.append(cells)
    return rows


LIBRARIES: dict[str, Callable[[Path], Iterator[Rows]]] = {
    "liteparse": by_liteparse,
    "pdfplumber": by_pdfplumber,
    "pdfplumber, text": lambda path: by_pdfplumber(path, "text"),
    "camelot lattice": by_camelot,
    "camelot stream": lambda path: by_camelot(path, "stream"),
    "camelot network": lambda path: by_camelot(path, "network"),
}


def by_loader(path: Path) -> Iterator[Rows]:
    """Tables by this project's loader."""
    from data.blocks import Block
    from data.loaders.pdf import load

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


def right(fact: dict[str, object], tables: list[Rows]) -> bool:
    """Whether a table has the value in a row with its label, under its whole header."""
    label, value = _plain(fact["label"]), _plain(fact["value"])
    words = {word for part in fact["header"] for word in _plain(part).split()}  # type: ignore[attr-defined]
    for rows in tables:
        for at, row in enumerate(rows):
            cells = [_plain(cell) for cell in row]
            if label not in cells or value not in cells:
                continue
            column = cells.index(value)
            above = {
                word
                for over in rows[:at]
                if column < len(over)
                for word in _plain(over[column]).split()
            }
            if words <= above:
                return True
    return False


def _plain(text: object) -> str:
    return " ".join(str(text).replace("**", "").split())


def measure(names: Sequence[str], drawn: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """For each reader the facts it gets right by table, and its processor time."""
    readers = {**LIBRARIES, "this loader": by_loader}
    found: dict[str, dict[str, object]] = {}
    for name in names:
        scores, began = {}, time.process_time()
        for table in drawn:
            try:
                tables = grids(readers[name](Path(str(table["path"]))))
            except Exception as error:  # noqa: BLE001  a library that fails on a table scores none
                print(f"{name}: {table['name']}: {error!r}"[:200], file=sys.stderr)
                tables = []
            facts: list[dict[str, object]] = table["facts"]  # type: ignore[assignment]
            scores[str(table["name"])] = sum(right(f, tables) for f in facts) / len(facts)
        found[name] = {"scores": scores, "seconds": time.process_time() - began}
    return found


def main() -> None:
    """Print the shares and times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", help="a Python that has the libraries")
    parser.add_argument("--verbose", action="store_true", help="one line a table")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        drawn = json.loads(Path(chosen.child[0]).read_text())
        print(json.dumps(measure(chosen.child[1].split(";"), drawn)))
        return
    from benchmarks.common import heading, table
    from benchmarks.table_set import table_set

    heading("Tables in PDF")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        drawn = [
            {
                "name": one.name,
                "path": str(one.path),
                "facts": [fact.__dict__ for fact in one.facts],
            }
            for one in table_set(folder, chosen.seed)
        ]
        results = measure(["this loader"], drawn)
        if chosen.libraries:
            (folder / "set.json").write_text(json.dumps(drawn))
            for name in LIBRARIES:
                done = subprocess.run(
                    [
                        chosen.libraries,
                        "-W",
                        "ignore",
                        __file__,
                        "--child",
                        str(folder / "set.json"),
                        name,
                    ],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                results.update(json.loads(done.stdout.splitlines()[-1]))
    sizes = {str(one["name"]): len(one["facts"]) for one in drawn}  # type: ignore[arg-type]
    rows = []
    for name, result in results.items():
        scores: dict[str, float] = result["scores"]  # type: ignore[assignment]
        values = sum(scores[key] * sizes[key] for key in sizes) / sum(sizes.values())
        whole = sum(score > 0.999 for score in scores.values())
        mean = sum(scores.values()) / len(scores)
        rows.append(
            [
                name,
                f"{mean:.1%}",
                f"{values:.1%}",
                f"{whole} of {len(scores)}",
                f"{result['seconds']:.1f}",
            ]
        )
    table(
        ["reader", "values right, mean of tables", "of all values", "tables right", "CPU s"], rows
    )
    if chosen.verbose:
        head = ["table", *results]
        table(
            head, [[key, *(f"{results[n]['scores'][key]:.0%}" for n in results)] for key in sizes]
        )  # type: ignore[index]


if __name__ == "__main__":
    main()
