"""Reading files in a child process that can be killed."""

import contextlib
import os
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import orjson

from data.blocks import KINDS, Block, Box, Kind, Loaded, LoadWarning, Scan, Table
from data.closing import ClosedOnExit
from data.errors import UnreadableFile
from data.limits import MIB, Limits
from data.page_picture import MOST_BYTES, PagePicture, PagePlace
from data.parser_child import OUT_OF_MEMORY

_READ_BYTES = 1 << 16
_MAX_ANSWER = 256 * MIB
_BASE64 = re.compile(r"UklGR[A-Za-z0-9+/]+={0,2}")
"""Of a RIFF file, which WebP is."""
_SPLIT = "Split it, or raise the limit"


class Parser(ClosedOnExit):
    """Runs the loaders in one child process, which lives on from file to file.

    Not thread-safe, and one file at a time: use one parser a thread. A context manager; the child
    starts with the first file (about 0.1 s) and is replaced after a time-out, a crash, or when
    the iterator over a file is dropped half-way. `limits` applies to each file.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: _Child | None = None
        self._busy = False

    @property
    def limits(self) -> Limits:
        """Of each file."""
        return self._limits

    def close(self) -> None:
        """End the child process; the next `parse` would start another."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def parse(
        self, path: Path, name: str = "", on_scan: Callable[[Scan], None] = lambda _: None
    ) -> Iterator[Loaded]:
        """The blocks of the file at `path`, and warnings about it, as they come.

        `name` is the name that its owner gave it (default: that of `path`); its extension, with
        the content, decides the loader, and messages carry it. `on_scan` is given every page that
        will now be read as a picture. The child is held back while the caller works, and the time
        limit counts only the child's own time. Raises UnreadableFile
        with the reason, possibly after some blocks; RuntimeError while another file is parsed.
        """
        for one in self._read(path, name, on_scan):
            if not isinstance(one, PagePicture):
                yield one

    def draw(self, path: Path, place: PagePlace, name: str = "") -> PagePicture:
        """A page of the PDF at `path` as a picture. Raises as `parse`."""
        read = self._read(path, name, place=asdict(place))
        for one in list(read):
            if isinstance(one, PagePicture):
                return one
        raise UnreadableFile(f"cannot show {name or path.name}", cause="the parser drew no page")

    def _read(
        self, path: Path, name: str, on_scan: Callable[[Scan], None] = lambda _: None, **more: Any
    ) -> Iterator[Loaded | PagePicture]:
        """What the child makes of a job."""
        if self._busy:
            raise RuntimeError("this parser is reading another file: use one parser a thread")
        name = name or path.name
        self._busy = True
        answered = True
        try:
            size = _size(path, name)
            child = self._living_child()
            answered = False
            job = {"path": str(path.absolute()), "name": name, "limits": asdict(self._limits)}
            child.send(job | more)
            budget = self._limits.patience(size)
            scans = 0
            while "loaded" in (answer := self._answer(child, name, budget)):
                for one in answer["loaded"]:
                    if not isinstance(one, Scan):
                        yield one
                        continue
                    on_scan(one)
                    if (scans := scans + 1) <= self._limits.max_scans:
                        budget += self._limits.seconds_per_scan
            answered = not answer["leaving"]
            if "error" in answer:
                raise self._refused(name, *answer["error"])
        finally:
            self._busy = False
            if not answered:
                self.close()

    def _living_child(self) -> "_Child":
        if self._child is None or not self._child.alive():
            self.close()
            self._child = _Child()
        return self._child

    def _answer(self, child: "_Child", name: str, budget: float) -> dict[str, Any]:
        """The child's next answer; UnreadableFile where it is late or gone."""
        try:
            return _checked(child.answer(budget))
        except TimeoutError as error:
            raise _too_slow(name, f"{budget:g} s") from error
        except ValueError as error:
            raise UnreadableFile(
                f"cannot read {name}", cause=f"the parser lost its way in it ({error})"
            ) from error
        except EOFError as error:
            code = child.code()
            if code == -signal.SIGXCPU:
                raise _too_slow(name, f"{budget / 4:g} s of processor time") from error
            raise UnreadableFile(
                f"cannot read {name}",
                cause=f"the parser crashed on it ({_ending(code)}): it is damaged, or needs more "
                f"than {self._limits.memory_bytes // MIB} MiB of memory",
            ) from error

    def _refused(self, name: str, cause: str, hint: str) -> UnreadableFile:
        if cause == OUT_OF_MEMORY:
            cause = f"parsing it needs more than {self._limits.memory_bytes // MIB} MiB of memory"
            hint = _SPLIT
        return UnreadableFile(f"cannot read {name}", cause=cause, hint=hint)


def _too_slow(name: str, budget: str) -> UnreadableFile:
    return UnreadableFile(
        f"cannot read {name}",
        cause=f"parsing took longer than {budget}",
        hint="Split it, or raise limits.seconds",
    )


class _Child:
    """One child process, its two pipes and its lifeline (see `data.parser_child`)."""

    def __init__(self) -> None:
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-m", "data.parser_child", str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=_environment(),
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        finally:
            os.close(lifeline)
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        self._jobs = self._process.stdin
        self._answers = self._process.stdout.fileno()
        self._buffer = bytearray()
        self._silence = 0.0

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def code(self) -> int:
        """The exit code of a process whose answers have ended; negative: a signal."""
        return self._process.wait()

    def send(self, job: dict[str, Any]) -> None:
        """Hand over a job and set the clock of the child's silence to zero."""
        self._silence = 0.0
        try:
            self._jobs.write(orjson.dumps(job) + b"\n")
        except BrokenPipeError:
            return  # `answer` will find that the child is gone, and why

    def answer(self, budget: float) -> object:
        """The next answer.

        Raises TimeoutError when it was silent for `budget` seconds in all, EOFError when it is
        gone, ValueError for what is no answer.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_ANSWER:
                raise ValueError("an answer without end")
            self._await(budget)
            more = os.read(self._answers, _READ_BYTES)
            if not more:
                raise EOFError
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return orjson.loads(line)

    def _await(self, budget: float) -> None:
        began = time.monotonic()
        left = max(0.0, budget - self._silence)
        poll = select.poll()
        poll.register(self._answers, select.POLLIN | select.POLLHUP)
        ready = poll.poll(left * 1000)
        self._silence += time.monotonic() - began
        if not ready:
            raise TimeoutError

    def kill(self) -> None:
        """End the process and whatever it may have started, and let go of the pipes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._lifeline)
        self._jobs.close()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _checked(answer: object) -> dict[str, Any]:
    """An answer as the protocol has it, with its blocks; ValueError for anything else.

    A library that a hostile file has taken over might say anything.
    """
    match answer:
        case {"loaded": [*rows]}:
            return {"loaded": [_one(row) for row in rows]}
        case {"end": True, "leaving": bool(leaving)}:
            return {"leaving": leaving}
        case {"error": [str(cause), str(hint)], "leaving": bool(leaving)}:
            return {"error": (cause, hint), "leaving": leaving}
    raise ValueError("not an answer")


def _one(row: object) -> Loaded | Scan | PagePicture:
    match row:
        case [
            str(kind),
            str(text),
            int() | None as page,
            [*boxes],
            int(level),
            table,
            str() | None as joint,
            str(title),
            str() | None as passage_id,
        ] if kind in KINDS:
            return Block(
                cast("Kind", kind),
                text,
                page,
                tuple(_box(box) for box in boxes),
                level,
                None if table is None else _table(table),
                joint,
                title,
                passage_id,
            )
        case [str(reason), int() | None as page]:
            return LoadWarning(reason, page)
        case [int(number), int(pages)]:
            return Scan(number, pages)
        case [
            int(number),
            float() | int() as width,
            float() | int() as height,
            [*boxes],
            bool(exact),
            str(image),
        ] if width > 0 and height > 0:
            if len(image) > 2 * MOST_BYTES or not _BASE64.fullmatch(image):
                raise ValueError("not a picture")
            places = tuple(tuple(_box([number, *_list(box)]).as_list()[1:]) for box in boxes)
            return PagePicture(number, width, height, places, exact, image)
    raise ValueError("not a block")


def _list(row: object) -> list[Any]:
    if isinstance(row, list):
        return row
    raise ValueError("not a list")


def _box(row: object) -> Box:
    match row:
        case [
            int(page),
            int() | float() as left,
            int() | float() as top,
            int() | float() as right,
            int() | float() as bottom,
        ]:
            return Box(page, left, top, right, bottom)
    raise ValueError("not a box")


def _table(row: object) -> Table:
    match row:
        case [list(rows), int(header_rows), int(label_columns), str(title)] if (
            rows and 0 <= header_rows <= len(rows) and label_columns >= 0
        ):
            grid = tuple(_cells(cells) for cells in rows)
            if len({len(cells) for cells in grid}) == 1:
                return Table(grid, header_rows, label_columns, title)
    raise ValueError("not a table")


def _cells(row: object) -> tuple[str, ...]:
    if isinstance(row, list) and all(isinstance(cell, str) for cell in row):
        return tuple(row)
    raise ValueError("not a row of a table")


def _size(path: Path, name: str) -> int:
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFile(
            f"cannot read {name}", cause=f"the system says: {error.strerror}"
        ) from error
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
        raise UnreadableFile(f"cannot read {name}", cause="it is not a regular file")
    return status.st_size


def _environment() -> dict[str, str]:
    """What the child needs to find this code and its libraries; no keys, no proxies."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LC_ALL", "LANG")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    here = str(Path(__file__).resolve().parent.parent)
    given = os.environ.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([here, given] if given else [here])
    environment["PYTHONUTF8"] = "1"
    return environment


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
