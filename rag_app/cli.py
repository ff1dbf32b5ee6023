"""The command `rag-app`. What it does stands in `rag_app.commands.program`, which takes its time to
be imported: Ctrl-C ends that quietly, too.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def main() -> None:
    """Entry point of the command `rag-app`."""
    with _ended_by_ctrl_c():
        os.umask(0o077)  # what is stored is for this user alone
        if sys.stdout is None:  # closed
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        from rag_app.commands.program import load, run

        load()
    run()


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Nothing has begun yet, so it may end at once; an exception can get lost in an import."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as of what a script starts in the background
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    yield
    signal.signal(signal.SIGINT, before)
