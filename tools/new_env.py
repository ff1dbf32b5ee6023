"""Makes .env from .env.example, and secrets; what is there is left alone.

python3 tools/new_env.py        needs nothing but Python

Users of containers must be able to read the secrets, so the folder keeps others out, not the files.
"""

import re
import secrets
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {
    "password": "RAG_APP_SERVER__PASSWORD",
    "qdrant_key": "QDRANT_API_KEY",
    "engine_key": "ENGINE_API_KEY",
    "hf_token": "HF_TOKEN",
}
"""Files in secrets/, and the variable in which an .env of before held the same."""
_GIVEN = {"hf_token"}
"""Those that nobody can make; empty unless given."""


def main(root: Path = ROOT) -> None:
    """Write what is missing."""
    target, folder = root / ".env", root / "secrets"
    if not target.exists():
        shutil.copyfile(root / ".env.example", target)
        target.chmod(0o600)
    before = target.read_text("utf-8")
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for name, variable in SECRETS.items():
        if (folder / name).exists():
            continue
        held = re.search(rf"(?m)^{variable}=(.+)$", before)
        made = "" if name in _GIVEN else secrets.token_urlsafe(24)
        (folder / name).write_text(held[1] if held else made, "utf-8")
        (folder / name).chmod(0o444)
        if name == "password":
            sys.stderr.write("log in as admin with the password in secrets/password\n")


if __name__ == "__main__":
    main()
