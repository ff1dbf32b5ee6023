"""Build the sample documents that are not plain text.

The prose lies in ``tools/sample_sources`` as Markdown; this script turns each file into the format
in which it ships in ``data/samples/documents``. The result is a function of the sources and of the
library versions alone: dates are fixed and archives are re-packed in a fixed order, so a rebuild
without a change leaves no difference behind.

Run ``python tools/build_samples.py [FOLDER]``; the packages needed are in the ``dev`` extra.
"""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tools" / "sample_sources"
DOCUMENTS = ROOT / "data" / "samples" / "documents"
AUTHOR = "Tarrow Water and Power"
BUILT = datetime(2024, 9, 2, 8, 0, 0, tzinfo=UTC)
_STAMP = BUILT.strftime("%Y-%m-%dT%H:%M:%SZ")
_ZIP_DATE = (2024, 9, 2, 8, 0, 0)


@dataclass(frozen=True)
class Block:
    """One block of the small Markdown dialect of the sources.

    ``kind`` is one of ``title``, ``section``, ``subsection``, ``paragraph``, ``formula``,
    ``item``, ``step``, ``note`` and ``table``; ``rows`` is filled for tables only, header first.
    """

    kind: str
    text: str
    rows: tuple[tuple[str, ...], ...] = ()


_PREFIXES = (
    ("### ", "subsection"),
    ("## ", "section"),
    ("# ", "title"),
    ("    ", "formula"),
    ("- ", "item"),
    ("> ", "note"),
)


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a source file in order; each paragraph is one line of the file."""
    blocks: list[Block] = []
    rows: list[tuple[str, ...]] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line.strip("| ").split(" |")))
            continue
        if rows:
            width = len(rows[0])
            blocks.append(Block("table", "", tuple(_padded(row, width) for row in rows)))
            rows = []
        if line.strip():
            blocks.append(_block(line))
    return blocks


def _padded(row: tuple[str, ...], width: int) -> tuple[str, ...]:
    return (*row, *[""] * (width - len(row)))


def _block(line: str) -> Block:
    for prefix, kind in _PREFIXES:
        if line.startswith(prefix):
            return Block(kind, line.removeprefix(prefix).strip())
    if step := re.match(r"\d+\. (.*)", line):
        return Block("step", step[1])
    return Block("paragraph", line)


_A5 = (148.0, 210.0)


def build_pdf(blocks: Sequence[Block]) -> bytes:
    """A PDF on A5 with outline entries, tables and a running foot; characters of Latin-1 only."""
    from fpdf import FPDF

    title = blocks[0].text

    class Booklet(FPDF):
        def footer(self) -> None:
            self.set_y(-13)
            self.set_font("helvetica", size=8)
            self.set_text_color(110)
            self.cell(0, 5, f"{title} - {self.page_no()}", align="C")
            self.set_text_color(0)

    pdf = Booklet(format=_A5)
    pdf.set_creation_date(BUILT)
    pdf.set_title(title)
    pdf.set_author(AUTHOR)
    pdf.set_lang("en-GB")
    pdf.set_margins(18, 16, 18)
    pdf.set_auto_page_break(auto=True, margin=18)
    pdf.add_page()
    for block in blocks:
        _print_block(pdf, block)
    return bytes(pdf.output())


_PRINT: dict[str, tuple[str, str, float, float, float]] = {
    # kind: family, style, size in points, indent in mm, space behind in mm
    "title": ("helvetica", "B", 20, 0, 2),
    "section": ("helvetica", "B", 12.5, 0, 1),
    "formula": ("courier", "", 9, 6, 1.5),
    "item": ("times", "", 10.5, 3, 0.8),
    "note": ("times", "I", 10.5, 0, 1.8),
    "paragraph": ("times", "", 10.5, 0, 1.8),
}


def _print_block(pdf: Any, block: Block) -> None:
    if block.kind == "table":
        _print_table(pdf, block.rows)
        return
    if block.kind == "section":
        if pdf.will_page_break(28):
            pdf.add_page()
        pdf.ln(3)
        pdf.start_section(block.text)
    family, style, size, indent, space = _PRINT[block.kind]
    pdf.set_font(family, style=style, size=size)
    pdf.set_x(pdf.l_margin + indent)
    text = f"\u00b7 {block.text}" if block.kind == "item" else block.text
    align = "J" if block.kind == "paragraph" else "L"
    pdf.multi_cell(0, size * 0.46, text, new_x="LMARGIN", new_y="NEXT", align=align)
    pdf.ln(space)


def _print_table(pdf: Any, rows: Sequence[Sequence[str]]) -> None:
    from fpdf.fonts import FontFace

    if pdf.will_page_break(min(60, 8 * len(rows))):
        pdf.add_page()
    pdf.set_font("times", size=9.5)
    with pdf.table(
        col_widths=[max(map(len, column)) ** 0.7 for column in zip(*rows, strict=True)],
        line_height=4.6,
        padding=0.8,
        text_align="LEFT",
        borders_layout="HORIZONTAL_LINES",
        headings_style=FontFace(emphasis="BOLD"),
    ) as table:
        for row in rows:
            table.row(row)
    pdf.ln(2.5)


def build_docx(blocks: Sequence[Block]) -> bytes:
    """A Word document with built-in heading styles, lists and tables."""
    import docx

    document = docx.Document()
    core = document.core_properties
    core.title, core.author, core.last_modified_by = blocks[0].text, AUTHOR, AUTHOR
    core.created = core.modified = BUILT.replace(tzinfo=None)
    styles = {"item": "List Bullet", "step": "List Number", "formula": "Quote"}
    levels = {"title": 0, "section": 1, "subsection": 2}
    for block in blocks:
        if block.kind in levels:
            document.add_heading(block.text, level=levels[block.kind])
        elif block.kind == "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), style="Table Grid")
            for cells, row in zip(table.rows, block.rows, strict=True):
                for cell, text in zip(cells.cells, row, strict=True):
                    cell.text = text
            document.add_paragraph()
        else:
            document.add_paragraph(block.text, style=styles.get(block.kind))
    buffer = io.BytesIO()
    document.save(buffer)
    return repack(buffer.getvalue())


def build_odt(blocks: Sequence[Block]) -> bytes:
    """An OpenDocument text with headings and bullet lists."""
    from odf import dc, meta
    from odf.opendocument import OpenDocumentText
    from odf.style import Style, TextProperties
    from odf.text import H, List, ListItem, P

    document = OpenDocumentText()
    headings = {}
    for level, size in ((1, "20pt"), (2, "14pt"), (3, "12pt")):
        style = Style(name=f"Heading {level}", family="paragraph")
        style.addElement(TextProperties(fontsize=size, fontweight="bold"))
        document.styles.addElement(style)
        headings[level] = style
    document.meta.addElement(dc.Title(text=blocks[0].text))
    document.meta.addElement(meta.InitialCreator(text=AUTHOR))
    levels = {"title": 1, "section": 2, "subsection": 3}
    bullets: Any = None
    for block in blocks:
        if block.kind == "item":
            if bullets is None:
                bullets = List()
                document.text.addElement(bullets)
            item = ListItem()
            item.addElement(P(text=block.text))
            bullets.addElement(item)
            continue
        bullets = None
        if block.kind in levels:
            level = levels[block.kind]
            heading = H(outlinelevel=level, stylename=headings[level], text=block.text)
            document.text.addElement(heading)
        else:
            document.text.addElement(P(text=block.text))
    buffer = io.BytesIO()
    document.write(buffer)
    return repack(buffer.getvalue())


def build_pptx(blocks: Sequence[Block]) -> bytes:
    """A slide deck: a title slide, then one slide a section, quoted lines as speaker's notes."""
    import pptx
    from pptx.util import Pt

    deck = pptx.Presentation()
    core = deck.core_properties
    core.title, core.author, core.last_modified_by = blocks[0].text, AUTHOR, AUTHOR
    core.created = core.modified = BUILT.replace(tzinfo=None)
    opening = deck.slides.add_slide(deck.slide_layouts[0])
    opening.shapes.title.text = blocks[0].text
    opening.placeholders[1].text = blocks[1].text
    slide: Any = opening
    for block in blocks[2:]:
        if block.kind == "section":
            slide = deck.slides.add_slide(deck.slide_layouts[1])
            slide.shapes.title.text = block.text
        elif block.kind == "item":
            frame = slide.placeholders[1].text_frame
            line = frame.paragraphs[0] if not frame.text else frame.add_paragraph()
            line.text = block.text
            line.font.size = Pt(24)
        else:
            slide.notes_slide.notes_text_frame.text = block.text
    buffer = io.BytesIO()
    deck.save(buffer)
    return repack(buffer.getvalue())


def build_xlsx(blocks: Sequence[Block]) -> bytes:
    """A workbook with one sheet a section; cells that look like numbers are numbers."""
    import openpyxl
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.creator = AUTHOR
    book.properties.created = BUILT.replace(tzinfo=None)
    sheet: Any = None
    for block in blocks:
        if block.kind == "section":
            sheet = book.create_sheet(block.text)
            continue
        for row in block.rows:
            sheet.append([_cell(text) for text in row])
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for index, column in enumerate(zip(*block.rows, strict=True), start=1):
            width = min(60, max(map(len, column)) + 2)
            sheet.column_dimensions[get_column_letter(index)].width = width
        sheet.freeze_panes = "B2"
    buffer = io.BytesIO()
    book.save(buffer)
    return repack(buffer.getvalue())


def _cell(text: str) -> str | int | float | None:
    if not text:
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else text


def repack(archive: bytes) -> bytes:
    """The same zip archive with fixed dates, in the same order, and with fixed time stamps inside.

    Office packages record the moment of saving both in the archive and in their property files.
    """
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new,
    ):
        for entry in old.infolist():
            content = _fix_stamps(entry.filename, old.read(entry))
            info = zipfile.ZipInfo(entry.filename, _ZIP_DATE)
            info.external_attr = 0o644 << 16
            stored = entry.filename == "mimetype"
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            new.writestr(info, content)
    return buffer.getvalue()


def _fix_stamps(name: str, content: bytes) -> bytes:
    if name not in {"docProps/core.xml", "meta.xml"}:
        return content
    stamp = rb">\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^<]*<"
    fixed = re.sub(stamp, b">" + _STAMP.encode() + b"<", content)
    return re.sub(rb"ODFPY/[^<]*", b"ODFPY", fixed)


BUILDERS: dict[str, tuple[str, Callable[[Sequence[Block]], bytes]]] = {
    "surge-in-pipelines.md": ("surge-in-pipelines.pdf", build_pdf),
    "frequency-of-a-small-grid.md": ("frequency-of-a-small-grid.pdf", build_pdf),
    "disinfection-guide.md": ("disinfection-guide.docx", build_docx),
    "lithium-battery-care.md": ("lithium-battery-care.odt", build_odt),
    "operator-training.md": ("operator-training.pptx", build_pptx),
    "asset-register.md": ("asset-register.xlsx", build_xlsx),
}


def build(folder: Path) -> Iterator[Path]:
    """Write all built documents into ``folder``, which must exist, and yield their paths."""
    for source, (target, builder) in BUILDERS.items():
        path = folder / target
        path.write_bytes(builder(read_blocks(SOURCES / source)))
        yield path


def main(arguments: Sequence[str]) -> None:
    """Build into the folder named on the command line, by default the one that ships."""
    folder = Path(arguments[0]) if arguments else DOCUMENTS
    for path in build(folder):
        sys.stdout.write(f"{path.name}  {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
