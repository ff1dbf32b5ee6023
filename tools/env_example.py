"""Writes .env.example anew: its hand-written head, then every setting with its default.

.venv/bin/python tools/env_example.py
"""

from pathlib import Path

from rag_app.commands.environment_file import template
from rag_app.settings import Settings

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
MARK = "# ---- Every other setting"


def renewed(text: str) -> str:
    """The example with its last part, from the line that begins with MARK, made anew."""
    head, _, rest = text.partition(MARK)
    explained = "\n".join(rest.splitlines()[:2])
    return f"{head}{MARK}{explained}\n\n{template(Settings())}"


if __name__ == "__main__":
    EXAMPLE.write_text(renewed(EXAMPLE.read_text("utf-8")), "utf-8")
