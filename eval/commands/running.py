"""What commands that run an evaluation share."""

import asyncio
import shlex
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rag_app.commands.common import Interrupted

T = TypeVar("T")


@contextmanager
def going_on(run: Path) -> Iterator[None]:
    """Say on stderr where a run is kept, and how to go on with it when it is interrupted."""
    sys.stderr.write(f"run: {run}\n")
    try:
        yield
    except Interrupted:
        sys.stderr.write(f"to go on: rag-app eval resume {shlex.quote(str(run))}\n")
        raise


def until_done(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C is `Interrupted`, a name that typer lets through."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise Interrupted from None
