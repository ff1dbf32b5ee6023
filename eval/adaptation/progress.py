"""How far an adaptation is, in the `progress.json` that evaluations write as well."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from data.files import write_text
from rag_app.commands.common import Interrupted

_SAVE_S: Final = 1.0


class Progress:
    """Writes the state of the work that is done while it is entered, and how it ended.

    Args:
        out: the folder of the file.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / "progress.json"
        self._reported, self._start = 0.0, time.monotonic()

    def report(self, message: str, done: int = 0, total: int = 0) -> None:
        """Say what is done now, and how many of how many steps; steps once a second at most."""
        now = time.monotonic()
        if 0 < done < total and now - self._reported < _SAVE_S:
            return
        self._reported = now
        self._keep("running", message, done, total)

    def _keep(self, state: str, message: str, done: int = 0, total: int = 0) -> None:
        seconds = round(time.monotonic() - self._start, 3)
        found = {"state": state, "message": message, "done": done, "total": total}
        write_text(self._path, json.dumps({**found, "seconds": seconds}))

    def __enter__(self) -> "Progress":
        self._keep("running", "reading the documents")
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        if error is None:
            self._keep("done", "", 1, 1)
        else:
            stopped = isinstance(error, KeyboardInterrupt | Interrupted)
            self._keep("failed", "interrupted" if stopped else str(error))
