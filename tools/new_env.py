"""Makes .env from .env.example, with secrets of its own; an .env that is there is left alone.

python3 tools/new_env.py        needs nothing but Python
"""

import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = ("RAG_APP_SERVER__PASSWORD", "QDRANT_API_KEY", "ENGINE_API_KEY")


def filled(text: str) -> str:
    """The text with a random value behind each empty secret."""
    empty = rf"(?m)^({'|'.join(SECRETS)})=$"
    return re.sub(empty, lambda found: f"{found[1]}={secrets.token_urlsafe(24)}", text)


def main(root: Path = ROOT) -> None:
    """Write it, readable by its owner alone."""
    target = root / ".env"
    if target.exists():
        return
    text = filled((root / ".env.example").read_text("utf-8"))
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    sys.stderr.write(".env is made: log in as admin with RAG_APP_SERVER__PASSWORD from it\n")


if __name__ == "__main__":
    main()
