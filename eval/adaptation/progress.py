"""How far an adaptation is, in the `progress.json` that evaluations write as well."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from data.files import write_text
from rag_app.commands.common import Interrupted

_SAVE_S: Final = 1.0


@contextmanager
def kept_progress(out: Path) -> Iterator[Callable[..., None]]:
    """Writes into a folder what the work in the `with` block reports, and how it ended.

    What is given says what is done now, and how many of how many steps: ``(message, done, total)``;
    steps are written once a second at most.
    """
    start, reported = time.monotonic(), 0.0

    def keep(state: str, message: str, done: int = 0, total: int = 0) -> None:
        seconds = round(time.monotonic() - start, 3)
        found = {"state": state, "message": message, "done": done, "total": total}
        write_text(out / "progress.json", json.dumps({**found, "seconds": seconds}))

    def report(message: str, done: int = 0, total: int = 0) -> None:
        nonlocal reported
        now = time.monotonic()
        if not 0 < done < total or now - reported >= _SAVE_S:
            reported = now
            keep("running", message, done, total)

    keep("running", "reading the documents")
    try:
        yield report
    except BaseException as error:  # whatever it is, it is written down and goes on
        stopped = isinstance(error, KeyboardInterrupt | Interrupted)
        keep("failed", "interrupted" if stopped else str(error))
        raise
    keep("done", "", 1, 1)
