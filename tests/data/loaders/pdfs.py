"""PDFs for tests, drawn with fpdf2 in points from the upper left corner."""

from pathlib import Path

from fpdf import FPDF


class Sheets(FPDF):
    """A4 pages without margins or page breaks of their own."""

    def __init__(self, *, landscape: bool = False) -> None:
        super().__init__("landscape" if landscape else "portrait", "pt", "A4")
        self.set_auto_page_break(False)
        self.set_margins(0, 0)

    def say(self, x: float, y: float, text: str, size: float = 11, style: str = "") -> None:
        """A line of text whose upper left corner is at (x, y)."""
        self.set_font("helvetica", style, size)
        self.text(x, y + size, text)

    def lines(self, x: float, y: float, *texts: str, size: float = 11, step: float = 14) -> float:
        """Lines below one another; the height below the last."""
        for text in texts:
            self.say(x, y, text, size)
            y += step
        return y

    def save(self, folder: Path, name: str = "a.pdf") -> Path:
        """Write the file and return its path."""
        self.output(str(folder / name))
        return folder / name
