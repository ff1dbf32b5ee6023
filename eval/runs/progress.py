"""How far a run is: on stderr for who watches, in `progress.json` for other programs."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from eval.runs.samples import Record

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from rag_app.results import Progress as Ingested

_REDRAW_S, _SAVE_S, _LOG_S = 0.5, 1.0, 10.0
"""Seconds between two pictures on a terminal, two states of the file, two lines elsewhere."""


@dataclass(slots=True)
class Line:
    """What is known of one arm or system.

    Attributes:
        errors: samples that failed in this attempt.
    """

    done: int = 0
    right: int = 0
    unparsed: int = 0
    errors: int = 0


class Progress:
    """Counts records, shows the counts while it is entered, and says how the run ended.

    Args:
        right: whether its answer is correct; None where answers are not judged one by one.
        write_line: takes lines of text; None means stderr, drawn where it is a terminal.
    """

    def __init__(
        self,
        keep: Callable[[Mapping[str, Any]], None],
        total: int,
        group: Callable[[Record], str],
        right: Callable[[Record], bool] | None = None,
        write_line: Callable[[str], None] | None = None,
    ) -> None:
        self.message = ""
        self.lines: dict[str, Line] = {}
        self._keep, self._total, self._group, self._right = keep, total, group, right
        self._draws = write_line is None and sys.stderr.isatty()
        self._write_line = write_line or _to_stderr
        self._tokens = self._new = 0
        self._start = time.monotonic()
        self._live: Live | None = None
        self._ticking: asyncio.Task[None] | None = None

    def count_earlier(self, record: Record) -> None:
        """Count a record of an earlier attempt that need not be tried again."""
        line = self.lines.setdefault(self._group(record), Line())
        line.done += 1
        line.unparsed += record["state"] in ("unparsed", "truncated")
        line.right += self._right is not None and self._right(record)

    def count(self, record: Record) -> None:
        """Count a new record."""
        self._new += 1
        if record["state"] == "error":
            self.lines.setdefault(self._group(record), Line()).errors += 1
            return
        self.count_earlier(record)
        if not record.get("cached"):
            self._tokens += record.get("completion_tokens", 0)

    def show_ingest(self, news: "Ingested") -> None:
        """Show how far ingestion is, which comes before the first sample."""
        self.message = (
            f"ingesting {news.source}: {news.documents} of {news.total_documents} documents, "
            f"{news.passages} passages"
        )

    def state(self, state: str = "running") -> dict[str, Any]:
        """What `progress.json` holds."""
        seconds = time.monotonic() - self._start
        done = sum(line.done for line in self.lines.values())
        failed = sum(line.errors for line in self.lines.values())
        left = max(self._total - done - failed, 0)
        eta = left * seconds / self._new if self._new and seconds else None
        found = {
            "state": state,
            "done": done,
            "total": self._total,
            "errors": failed,
            "seconds": round(seconds, 3),
            "eta": round(eta, 1) if eta is not None else None,
            "tokens_per_second": round(self._tokens / seconds, 1) if seconds else 0.0,
            "message": self.message,
        }
        if self._right is None:
            return found
        judged = {name: line for name, line in self.lines.items() if line.done}
        accuracy = {name: round(line.right / line.done, 6) for name, line in judged.items()}
        unparsed = sum(line.unparsed for line in self.lines.values())
        return {**found, "accuracy": accuracy, "unparsed": unparsed}

    async def __aenter__(self) -> "Progress":
        self._start = time.monotonic()
        self._keep(self.state())
        if self._draws:
            self._live = _live()
            self._live.start()
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        self.message = "" if error is None else str(error) or "interrupted"
        self._keep(self.state("failed" if error is not None else "done"))
        self.message = ""  # whoever catches the error shows it
        self._write_line(self.summary())

    async def _tick(self) -> None:
        saved = logged = time.monotonic()
        while True:
            await asyncio.sleep(_REDRAW_S)
            now = time.monotonic()
            if self._live is not None:
                self._live.update(self._picture(), refresh=True)
            elif now - logged >= _LOG_S:
                logged = now
                self._write_line(self.summary())
            if now - saved >= _SAVE_S:
                saved = now
                self._keep(self.state())

    def summary(self, *, accuracy: bool = True) -> str:
        """The state in one line, with or without the accuracy of every arm."""
        state = self.state()
        parts = [f"{state['done']}/{state['total']}"]
        if accuracy:
            parts += [f"{name} {share:.1%}" for name, share in state.get("accuracy", {}).items()]
        parts += [f"{state[what]} {what}" for what in ("unparsed", "errors") if state.get(what)]
        if state["tokens_per_second"]:
            parts.append(f"{state['tokens_per_second']:.0f} tokens/s")
        parts.append(f"{_time(state['seconds'])} so far")
        if state["eta"]:
            parts.append(f"{_time(state['eta'])} left")
        return ", ".join(parts) + (f": {self.message}" if self.message else "")

    def _picture(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None)
        judged = ["accuracy", "unparsed"] if self._right else []
        for name in ("", "done", *judged, "errors"):
            table.add_column(name, justify="right" if name else "left")
        for name, line in self.lines.items():
            share = f"{line.right / line.done:.1%}" if line.done else ""
            cells = [share, str(line.unparsed)] if self._right else []
            table.add_row(Text(name), str(line.done), *cells, str(line.errors))
        return Group(table, Text(self.summary(accuracy=False)))


def _live() -> "Live":
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(stderr=True), auto_refresh=False, transient=True)


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
