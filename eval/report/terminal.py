"""A report as people read it on a terminal: the verdict, then the tables that are not folded."""

import sys

from eval.report.document import Report, Table, Text
from rag_app.commands.output import UNWATCHED, harmless


def show(report: Report) -> None:
    """Print it to stdout."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else UNWATCHED, highlight=False)

    def write(text: str, style: str = "") -> None:
        console.print(harmless(text), markup=False, style=style)

    evidence = f" ({report.verdict.evidence})" if report.verdict.evidence else ""
    write(f"{report.verdict.sentence}{evidence}.", "bold")
    for reason in report.verdict.reasons:
        write(f"- {reason}")
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Table) and not block.folded:
                write(f"\n{block.caption}", "dim")
                console.print(_table(block))
            elif isinstance(block, Text) and block.tone == "warning":
                write(block.text)


def _table(block: Table) -> object:
    from rich.table import Table as Drawn
    from rich.text import Text as Cell

    drawn = Drawn(box=None, padding=(0, 2, 0, 0))
    left = {0, *block.texts}
    for place, name in enumerate(block.head):
        justify = "left" if place in left else "right"
        drawn.add_column(Cell(harmless(name)), overflow="fold", justify=justify)  # type: ignore[arg-type]
    for row in block.rows:
        drawn.add_row(*(Cell(harmless(cell)) for cell in row))
    return drawn
