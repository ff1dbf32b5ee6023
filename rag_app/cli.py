"""The command `rag-app`. What it does stands in `rag_app.commands.program`, which takes its time to
be imported: Ctrl-C ends that quietly, too.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    """Entry point of the command `rag-app`."""
    os.umask(0o077)  # what is stored is for this user alone
    if sys.stdout is None:  # closed
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        from rag_app.commands.program import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
