"""The log of a run: one JSON line a sample, appended and never changed.

A sample counts as finished when its line is on disk. A process that is killed leaves at most a torn
last line, which is cut off before the next one is appended.
"""

import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data.closing import ClosedOnExit
from eval.errors import EvalError

Record = dict[str, Any]
"""A sample as plain JSON values; ``key`` names it, ``state`` is ``error`` where it has to be tried
again."""


class SampleLog(ClosedOnExit):
    """Appends records and reads them back; use it as a context manager while appending.

    One thread writes what is waiting in one go and asks the disk once for all of it, so that
    safety does not cost a wait for the disk a sample.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._failure: OSError | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Hand a record to the writer, at once.

        Raises:
            EvalError: what was appended before could not be written.
        """
        self._require_written()
        if self._writer is None:
            self._cut_torn_line()
            self._writer = threading.Thread(target=self._write, name="samples", daemon=True)
            self._writer.start()
        self._waiting.put(json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Return when everything is on disk. Raises EvalError: it could not be written."""
        if self._writer is not None:
            self._waiting.put(None)
            self._writer.join()
            self._writer = None
        self._require_written()

    def read(self) -> Iterator[Record]:
        """The last record of every key, in the order of the file; a torn last line is none.

        Raises:
            EvalError: a line is damaged.
        """
        last = {record["key"]: end for end, record in self._scan()}
        for end, record in self._scan():
            if last.get(record["key"]) == end:
                yield record

    def finished(self) -> set[str]:
        """The keys that need not be tried again."""
        states = {record["key"]: record.get("state") for _, record in self._scan()}
        return {key for key, state in states.items() if state != "error"}

    def _scan(self) -> Iterator[tuple[int, Record]]:
        """Every whole line's content, and where in the file it ends."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            end, number = 0, 0
            while (line := file.readline()).endswith(b"\n"):  # else a kill tore it
                number += 1
                record = _parsed(line)
                if record is None:
                    if file.read(1):
                        raise EvalError(
                            f"line {number} of {self.path} is damaged",
                            cause="it is no sample",
                            hint="Delete that line; `rag-app eval resume` asks again",
                        )
                    return
                end += len(line)
                yield end, record

    def _cut_torn_line(self) -> None:
        end = max((end for end, _ in self._scan()), default=0)
        if self.path.exists() and self.path.stat().st_size > end:
            os.truncate(self.path, end)

    def _write(self) -> None:
        try:
            with self.path.open("ab") as file:
                while group := self._group():
                    file.write(b"".join(line for line in group if line))
                    file.flush()
                    os.fsync(file.fileno())
                    if group[-1] is None:
                        return
        except OSError as error:
            self._failure = error

    def _group(self) -> list[bytes | None]:
        """All that is waiting, at least one; None at its end says that nothing will follow."""
        group = [self._waiting.get()]
        while group[-1] is not None:
            try:
                group.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return group

    def _require_written(self) -> None:
        if self._failure is not None:
            raise EvalError(
                f"{self.path} could not be written",
                cause=(self._failure.strerror or str(self._failure)).lower(),
                hint=f"Make room, then `rag-app eval resume {self.path.parent}`",
            )


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    named = isinstance(record, dict) and isinstance(record.get("key"), str)
    return record if named else None
