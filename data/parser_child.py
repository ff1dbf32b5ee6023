"""The process that reads documents: confined, killable, without secrets or network.

Started by `data.parsing` as `python -m data.parser_child LIFELINE`. Each line of standard input
is a job, each line of standard output an answer, all JSON (no pickle: the child is not trusted):

    in   {"path", "name", "limits": {...}}       with "place", a page is drawn (`data.page_picture`)
    out  {"loaded": [block, warning or picture, ...]}                  any number
         {"end": true} or {"error": [cause, hint]}                      one a job;
         "leaving": true in it says that the child ends now

A block is [kind, text, page, boxes, level, table, joint, title, passage_id], where a box is [page,
left, top, right, bottom] and a table [rows, header_rows, label_columns, title]; a warning is
[reason, page], a page that will be read as a picture [page, pages], for more time, and a picture
[page, width, height, boxes, exact, image].

An exception that no loader expects ends the process: the hook for uncaught ones reports a
damaged file first, and the parent starts a new child for the next file.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import orjson

from data.blocks import Block, Loaded, LoadWarning, Scan
from data.components import LOADERS
from data.errors import UnreadableFile
from data.limits import Limits
from data.loaders import load, sniff
from data.page_picture import PagePicture, PagePlace, draw

OUT_OF_MEMORY = "out of memory"
"""The cause that stands for a job that hit the limit of memory."""

MAX_WARNINGS = 200
"""Warnings about one file; how many more there were is the last one."""

_BATCH_CHARACTERS = 32_768
_BATCH_SECONDS = 0.5
_OPEN_FILES = 64
_WORN_SHARE = 0.4
"""A child whose address space has grown beyond this share of its limit leaves after the job."""


def main() -> None:
    """Serve jobs until standard input ends. Argument 1: descriptor of the parent's lifeline."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    _leave_network()
    _follow_parent(int(sys.argv[1]))
    _report_uncaught(answers)
    for line in sys.stdin.buffer:
        job = orjson.loads(line)
        limits = Limits(**job["limits"])
        _confine(limits, Path(job["path"]))
        path, name, place = Path(job["path"]), job["name"], job.get("place")
        found = _drawn(path, name, limits, place) if place else _loaded(path, name, limits)
        last = _serve(found, answers)
        worn = _worn(limits)
        _send(answers, last | {"leaving": worn})
        if worn:
            return


def _serve(found: Iterator[Loaded | Scan | PagePicture], answers: BinaryIO) -> dict[str, Any]:
    """Send what is found in a file, some at a time; the answer that shall follow it."""
    rows: list[list[Any]] = []
    size, sent = 0, time.monotonic()
    last: dict[str, Any] = {"end": True}
    try:
        for one in found:
            rows.append(row(one))
            size += len(one.text) if isinstance(one, Block) else 0
            scan = isinstance(one, Scan)
            if scan or size >= _BATCH_CHARACTERS or time.monotonic() - sent > _BATCH_SECONDS:
                _send(answers, {"loaded": rows})
                rows, size, sent = [], 0, time.monotonic()
    except UnreadableFile as error:
        last = {"error": (error.cause, error.hint)}
    except OSError as error:
        last = {"error": (f"the system says: {error.strerror or error}", "")}
    if rows:
        _send(answers, {"loaded": rows})
    return last


def row(one: Loaded | Scan | PagePicture) -> list[Any]:
    """A block, a warning, a scan or a picture as JSON has it."""
    if isinstance(one, PagePicture):
        return [one.page, one.width, one.height, one.boxes, one.exact, one.image]
    if isinstance(one, Scan):
        return [one.page, one.pages]
    if isinstance(one, LoadWarning):
        return [one.reason, one.page]
    table = one.table and [
        one.table.rows,
        one.table.header_rows,
        one.table.label_columns,
        one.table.title,
    ]
    boxes = [box.as_list() for box in one.boxes]
    return [
        one.kind,
        one.text,
        one.page,
        boxes,
        one.level,
        table,
        one.joint,
        one.title,
        one.passage_id,
    ]


def _loaded(path: Path, name: str, limits: Limits) -> Iterator[Loaded | Scan]:
    """The file's blocks as long as they are within the limits, and at least one with text."""
    kind = sniff(path, name, limits)
    characters, warnings = 0, 0
    scans, credited = 0, 0
    pages = path.stat().st_size >> 10
    for one in load(path, kind):
        if isinstance(one, Scan):
            scans += 1
            if scans <= limits.max_scans:
                _add_processor_time(limits.seconds_per_scan)
            yield one
            continue
        if isinstance(one, LoadWarning):
            warnings += 1
            if warnings <= MAX_WARNINGS:
                yield one
            continue
        while 100 * (credited + 1) <= min(one.page or 0, pages):
            credited += 1
            _add_processor_time(limits.seconds_per_100_pages)
        characters += len(one.text)
        if not LOADERS[kind].streamed:
            _check_extent(one, characters, limits)
        yield one
    if warnings > MAX_WARNINGS:
        yield LoadWarning(f"{warnings - MAX_WARNINGS} more warnings are left out")
    if not characters:
        raise UnreadableFile(f"cannot read {name}", cause="it holds no text")


def _drawn(path: Path, name: str, limits: Limits, place: dict[str, Any]) -> Iterator[PagePicture]:
    if sniff(path, name, limits) != "pdf":
        raise UnreadableFile(f"cannot show {name}", cause="only a PDF has pages to show")
    boxes = tuple(map(tuple, place["boxes"]))
    yield draw(path, PagePlace(place["page"], boxes, tuple(place["quotes"])))


def _check_extent(block: Block, characters: int, limits: Limits) -> None:
    if characters > limits.max_characters:
        raise UnreadableFile(
            "",
            cause=f"it has more than {limits.max_characters} characters",
            hint="Split it, or raise the limit",
        )
    if (block.page or 0) > limits.max_pages:
        raise UnreadableFile(
            "",
            cause=f"it has more than {limits.max_pages} pages",
            hint="Split it, or raise the limit",
        )


def _send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(orjson.dumps(answer) + b"\n")
    answers.flush()


def _report_uncaught(answers: BinaryIO) -> None:
    """Make an exception that nothing catches the last answer of this process."""

    def report(
        kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        if issubclass(kind, MemoryError):
            answer = (OUT_OF_MEMORY, "")
        elif issubclass(kind, RecursionError):
            answer = ("it is damaged or nested too deeply", "")
        else:
            answer = (f"it is damaged ({kind.__name__}: {str(error)[:200]})", "")
        _send(answers, {"error": answer, "leaving": True})

    sys.excepthook = report


def _confine(limits: Limits, path: Path) -> None:
    """Bound address space, processor time, open files and written bytes for one job."""
    import resource

    def bound(what: int, soft: float) -> None:
        hard = resource.getrlimit(what)[1]
        value = int(soft) if hard == resource.RLIM_INFINITY else min(int(soft), hard)
        resource.setrlimit(what, (value, hard))

    size = path.stat().st_size if path.exists() else 0
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    bound(resource.RLIMIT_CPU, used + limits.budget(size) + 1)
    bound(resource.RLIMIT_NOFILE, _OPEN_FILES)
    bound(resource.RLIMIT_FSIZE, 0)
    bound(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        bound(resource.RLIMIT_AS, limits.memory_bytes)


def _add_processor_time(seconds: float) -> None:
    """Raise the bound on processor time, on all cores, by so many seconds of one clock."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    more = soft + math.ceil(seconds * (os.cpu_count() or 1))
    resource.setrlimit(
        resource.RLIMIT_CPU, (more if hard == resource.RLIM_INFINITY else min(more, hard), hard)
    )


def _worn(limits: Limits) -> bool:
    """Whether earlier files have left so much behind that the next might lack memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return False
    return pages * os.sysconf("SC_PAGE_SIZE") > _WORN_SHARE * limits.memory_bytes


def _follow_parent(lifeline: int) -> None:
    """Die when the parent does, even inside a library that never comes back.

    The parent alone holds the writing end of the pipe `lifeline` and never writes. When it dies,
    however that happens, the kernel signals the end of the pipe by SIGIO, whose default action is
    to end the process. (PR_SET_PDEATHSIG would follow the *thread* that started this process.)
    """
    if sys.platform == "linux":
        import fcntl
        import select

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # it died before we asked for the signal
            sys.exit(1)


def _leave_network() -> None:
    """Enter a network namespace without interfaces, where the system allows it (Linux)."""
    if sys.platform == "linux":
        import ctypes

        new_user, new_net = 0x10000000, 0x40000000
        libc = ctypes.CDLL(None)
        libc.unshare(new_net if os.geteuid() == 0 else new_user | new_net)


if __name__ == "__main__":
    main()
