"""Reading of scans: word accuracy and seconds a page.

    .venv/bin/python -m benchmarks.ocr [--pages 20] [--keep DIR]

Sets paragraphs of this project's documentation in three typefaces, in one or two columns, renders
each page at 150 dpi, adds noise and a tilt of up to one degree, and reads it back. Accuracy is
1 - (words changed, lost or added) / words, in the order in which the page is read.
"""

import random
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import REPOSITORY, arguments, heading, table

DPI = 150


def sentences() -> list[str]:
    """Plain prose of docs/ and the README."""
    found = []
    for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]:
        for part in re.split(r"\n\s*\n", path.read_text("utf-8")):
            text = " ".join(part.split())
            if re.match(r"[A-Z][a-z]", text) and not re.search(r"[`|<>*_\[\]{}#=~^\\]|http", text):
                text = text.translate(str.maketrans("“”’–—→≥≤×…", '""\'--+><x.'))
                if len(text) > 120 and text.isascii():
                    found.append(text)
    return found


def drawn(path: Path, texts: list[str], chance: random.Random, columns: int) -> list[str]:
    """Write a page of these paragraphs; its words in reading order."""
    from fpdf import FPDF

    pdf = FPDF("portrait", "pt", "A4")
    pdf.set_auto_page_break(False)
    pdf.add_page()
    size = chance.choice([10, 11, 12]) if columns == 1 else 10
    pdf.set_font(chance.choice(["helvetica", "times", "times"]), size=size)
    gap = 24.0
    wide = (595 - 120 - gap * (columns - 1)) / columns
    words: list[str] = []
    for column in range(columns):
        x, y = 60 + column * (wide + gap), 70.0
        while texts and y < 700:
            text = texts.pop()
            pdf.set_xy(x, y)
            lines = pdf.multi_cell(wide, size * 1.3, text, align="L", dry_run=True, output="LINES")
            if y + len(lines) * size * 1.3 > 770:
                break
            pdf.multi_cell(wide, size * 1.3, text, align="L")
            y += (len(lines) + 0.7) * size * 1.3
            words += text.split()
    pdf.output(str(path))
    return words


def scanned(path: Path, chance: random.Random, sigma: float = 12.0) -> Any:
    """The page as a scanner gives it: 150 dpi, noise, a tilt of up to a degree."""
    import numpy as np
    import pypdfium2
    from PIL import Image

    page = pypdfium2.PdfDocument(path)[0]
    image = page.render(scale=DPI / 72, grayscale=True).to_pil()
    image = image.rotate(chance.uniform(-1, 1), Image.Resampling.BICUBIC, fillcolor=255)
    grid = np.random.default_rng(chance.randrange(1 << 30))
    pixels = np.asarray(image, dtype=np.float32) * 0.88 + 20
    pixels += grid.normal(0, sigma, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def changes(words: list[str], read: list[str]) -> int:
    """Words changed, lost or added (Levenshtein's distance over words)."""
    row = list(range(len(read) + 1))
    for i, one in enumerate(words, 1):
        before, row[0] = row[0], i
        for j, two in enumerate(read, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != two))
    return row[-1]


def main() -> None:
    """Print accuracy and rate."""
    from data.blocks import Block
    from data.loaders.images import load

    parser = arguments("Reading of scans")
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="keep the pages in this folder")
    chosen = parser.parse_args()
    heading(f"{chosen.pages} pages at {DPI} dpi, with noise and tilt")
    chance = random.Random(11)
    stock = sentences()
    rows, wrong, total, seconds, spent = [], 0, 0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        for number in range(chosen.pages):
            texts = chance.sample(stock, min(len(stock), 24))
            columns = 2 if number % 4 == 3 else 1
            words = drawn(folder / f"{number}.pdf", texts, chance, columns)
            scan = folder / f"{number}.png"
            scanned(folder / f"{number}.pdf", chance).save(scan, dpi=(DPI, DPI))
            began, cpu = time.perf_counter(), time.process_time()
            read = " ".join(b.text for b in load(scan) if isinstance(b, Block)).split()
            took, used = time.perf_counter() - began, time.process_time() - cpu
            off = changes(words, read)
            wrong, total = wrong + off, total + len(words)
            seconds, spent = seconds + took, spent + used
            share = f"{1 - off / len(words):.2%}"
            rows.append([number, columns, len(words), share, f"{took:.1f}", f"{used:.1f}"])
    each = [f"{taken / chosen.pages:.2f} a page" for taken in (seconds, spent)]
    rows.append(["all", "", total, f"{1 - wrong / total:.2%}", *each])
    table(
        ["page", "columns", "words", "right (goal: 98%)", "seconds (goal: 3)", "CPU seconds"], rows
    )


if __name__ == "__main__":
    main()
