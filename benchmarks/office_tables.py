"""Do values of tables stay with their row labels and headers, and are asked rows found?

    python -m benchmarks.office_tables [--questions 200]

Writes 36 tables (header of one or two lines, merged cells, captions, short and long) as DOCX, PPTX,
XLSX, ODT, HTML, Markdown and CSV, reads and splits them as an ingestion does, and prints

- the share of values that stand in one passage under their own row label and full header;
- for long tables the share of questions ("What is the COLUMN of ROW in TABLE?") whose row is in the
  first three hits of the hybrid retriever, over all passages of all long tables.

All content is made up from a seed.
"""

import argparse
import asyncio
import csv
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import heading
from benchmarks.common import table as print_table
from data.loaders import load, sniff
from data.splitting import Passage, Splitter
from data.tables import index_text
from rag_app.assembly.application import open_application
from rag_app.assembly.components import splitter
from rag_app.service import QueryOptions
from rag_app.settings import Settings, load_settings, override

SEED = 20_261_127
THINGS = ("Valve", "Pump", "Filter", "Gauge", "Motor", "Seal", "Tank", "Cable", "Fuse", "Hub")
MEASURES = ("Leak rate", "Mass", "Price", "Stock", "Turns", "Age", "Pressure", "Length")
GROUPS = ("Summer plan", "Winter plan", "North", "South", "2024", "2025")


@dataclass(frozen=True)
class Made:
    """A table: its title, its header rows as (text, columns) cells, and its rows."""

    title: str
    header: tuple[tuple[tuple[str, int], ...], ...]
    rows: tuple[tuple[str, ...], ...]

    def columns(self) -> list[tuple[str, ...]]:
        """The header texts above each column."""
        lines = [[text for text, span in line for _ in range(span)] for line in self.header]
        return [tuple(dict.fromkeys(column)) for column in zip(*lines, strict=True)]


def tables(count: int = 36) -> Iterator[Made]:
    """Tables of all shapes."""
    draw = random.Random(SEED)
    for number in range(count):
        width, double = draw.randint(2, 5), number % 3 == 1
        length = draw.randint(60, 150) if number % 4 == 3 else draw.randint(3, 12)
        names = draw.sample(MEASURES, width)
        if double:
            groups = draw.sample(GROUPS, 2)
            header = (
                (("Item", 1), (groups[0], width), (groups[1], width)),
                (("Item", 1), *((name, 1) for name in names), *((name, 1) for name in names)),
            )
            width *= 2
        else:
            header = ((("Item", 1), *((name, 1) for name in names)),)  # type: ignore[assignment]
        rows = tuple(
            (
                f"{draw.choice(THINGS)} {chr(65 + number % 26)}-{row + 100}",
                *(f"{draw.randint(1, 9999) / 10}" for _ in range(width)),
            )
            for row in range(length)
        )
        yield Made(f"Table {number + 1}: values of {draw.choice(THINGS).lower()}s", header, rows)


def write_html(table: Made, path: Path) -> None:
    """With th, colspan and rowspan."""
    lines = []
    for depth, line in enumerate(table.header):
        cells = []
        for at, (text, span) in enumerate(line):
            if at == 0 and len(table.header) > 1:
                cells.append(f"<th rowspan=2>{text}</th>" if depth == 0 else "")
            else:
                cells.append(f"<th colspan={span}>{text}</th>")
        lines.append("".join(cells))
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in table.rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    path.write_text(f"<p>Text.</p><table><caption>{table.title}</caption>{body}</table>")


def write_markdown(table: Made, path: Path) -> None:
    """With one header row, as the form has it."""
    names = [" / ".join(column) for column in table.columns()]
    rows = [names, ["---"] * len(names), *table.rows]
    path.write_text(f"{table.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))


def write_csv(table: Made, path: Path) -> None:
    """With one header row."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow([" / ".join(column) for column in table.columns()])
        writer.writerows(table.rows)


def write_xlsx(table: Made, path: Path) -> None:
    """With merged header cells, values as numbers, the title above."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append([table.title])
    for depth, line in enumerate(table.header, start=2):
        at = 1
        for text, span in line:
            sheet.cell(depth, at, text)
            if span > 1:
                sheet.merge_cells(None, depth, at, depth, at + span - 1)
            at += span
    for row in table.rows:
        sheet.append([row[0], *map(float, row[1:])])
    book.save(path)


def write_docx(table: Made, path: Path) -> None:
    """With merged header cells and a caption."""
    import docx

    document = docx.Document()
    document.add_paragraph("Text.")
    document.add_paragraph(table.title, style="Caption")
    width = len(table.columns())
    grid = document.add_table(0, width)
    for line in table.header:
        cells, at = grid.add_row().cells, 0
        for text, span in line:
            cell = cells[at] if span == 1 else cells[at].merge(cells[at + span - 1])
            cell.text = text
            at += span
    for row in table.rows:
        for cell, text in zip(grid.add_row().cells, row, strict=True):
            cell.text = text
    document.save(str(path))


def write_pptx(table: Made, path: Path) -> None:
    """On one slide, with merged header cells."""
    import pptx
    from pptx.util import Inches

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = table.title
    width = len(table.columns())
    size = (Inches(1), Inches(1), Inches(8), Inches(4))
    grid = slide.shapes.add_table(len(table.header) + len(table.rows), width, *size).table
    for depth, line in enumerate(table.header):
        at = 0
        for text, span in line:
            grid.cell(depth, at).text = text
            if span > 1:
                grid.cell(depth, at).merge(grid.cell(depth, at + span - 1))
            at += span
    for depth, row in enumerate(table.rows, start=len(table.header)):
        for at, text in enumerate(row):
            grid.cell(depth, at).text = text
    deck.save(str(path))


def write_odt(table: Made, path: Path) -> None:
    """With header rows and spanned cells."""
    from odf.opendocument import OpenDocumentText
    from odf.table import CoveredTableCell, Table, TableCell, TableHeaderRows, TableRow
    from odf.text import P

    document = OpenDocumentText()
    document.text.addElement(P(text=table.title))
    grid, heads = Table(), TableHeaderRows()
    for line in table.header:
        row = TableRow()
        for text, span in line:
            cell = TableCell(numbercolumnsspanned=span)
            cell.addElement(P(text=text))
            row.addElement(cell)
            for _ in range(span - 1):
                row.addElement(CoveredTableCell())
        heads.addElement(row)
    grid.addElement(heads)
    for values in table.rows:
        row = TableRow()
        for text in values:
            cell = TableCell()
            cell.addElement(P(text=text))
            row.addElement(cell)
        grid.addElement(row)
    document.text.addElement(grid)
    document.save(str(path))


WRITERS: dict[str, Callable[[Made, Path], None]] = {
    "html": write_html, "md": write_markdown, "csv": write_csv, "xlsx": write_xlsx,
    "docx": write_docx, "pptx": write_pptx, "odt": write_odt,
}  # fmt: skip


def kept(table: Made, passages: list[Passage]) -> tuple[int, int]:
    """Values under their row label and full header in one passage, of all."""
    lines: dict[str, str] = {}
    for passage in passages:
        for line in index_text(passage.text).split("\n"):
            for row in table.rows:
                if row[0] in line:
                    lines[row[0]] = line
    found = total = 0
    for row in table.rows:
        line = lines.get(row[0], "")
        for names, value in zip(table.columns()[1:], row[1:], strict=True):
            total += 1
            number = f"{float(value):g}"
            found += any(f"{' / '.join(names)}: {form}" in line for form in (value, number))
    return found, total


def share_kept(splitter: Splitter, folder: Path) -> Iterator[tuple[str, int, int]]:
    """Format, values kept and all values, over all tables."""
    for suffix, write in WRITERS.items():
        found = total = 0
        for number, table in enumerate(tables()):
            path = folder / f"{number}.{suffix}"
            write(table, path)
            passages = list(splitter.split(load(path, sniff(path))))
            some, all_of = kept(table, passages)
            found, total = found + some, total + all_of
        yield suffix, found, total


async def share_found(settings: Settings, folder: Path, questions: int) -> tuple[int, int]:
    """Questions about rows of long tables whose row is in the first three hits, of all."""
    draw = random.Random(SEED)
    long = [table for table in tables(48) if len(table.rows) >= 60]
    for number, table in enumerate(long):
        suffix = list(WRITERS)[number % len(WRITERS)]
        WRITERS[suffix](table, folder / f"long {number}.{suffix}")
    application, _ = open_application(settings)
    found = 0
    try:
        await application.ingest("tables", [folder])
        for _ in range(questions):
            table = draw.choice(long)
            row = draw.choice(table.rows)
            at = draw.randrange(1, len(row))
            names = " / ".join(table.columns()[at])
            question = f"What is the {names} of {row[0]} in {table.title}?"
            result = await application.search("tables", question, QueryOptions(top_k=3))
            number = f"{float(row[at]):g}"
            found += any(
                row[0] in line and any(f"{names}: {value}" in line for value in (row[at], number))
                for hit in result.hits
                for line in index_text(hit.text).split("\n")
            )
    finally:
        await application.close()
    return found, questions


def main() -> None:
    """Write, read, split, count; then ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = override(load_settings(), {"storage": {"path": folder / "store"}})
        (folder / "all").mkdir()
        (folder / "long").mkdir()
        heading("Values under their row label and full header in one passage")
        rows = [
            [suffix, f"{found} of {total}", f"{found / total:.1%}"]
            for suffix, found, total in share_kept(splitter(settings), folder / "all")
        ]
        print_table(["format", "values", "share"], rows)
        heading("Rows of long tables among the first three hits")
        found, total = asyncio.run(share_found(settings, folder / "long", arguments.questions))
        print_table(
            ["questions", "found", "share"], [[str(total), str(found), f"{found / total:.1%}"]]
        )


if __name__ == "__main__":
    main()
