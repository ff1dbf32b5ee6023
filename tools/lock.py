"""Writes the versions and hashes of all that make installs, from pyproject.toml, by uv.

    make lock                                  keeps the versions that are locked and still fit
    make lock UPGRADE="--upgrade-package lxml" moves one

PyTorch and its CUDA libraries are left out: which build fits is the machine's matter. So is what
only unused parts of a package need.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
FILES = {
    "requirements.txt": ["report", "ocr", "mcp"],  # make setup
    "requirements-image.txt": ["server", "report", "ocr", "mcp", "otel"],
    "requirements-dev.txt": ["dev"],  # the tests
}
_LEFT_OUT = re.compile(r"(torch|triton|cuda-.*|nvidia-.*|playwright)")


def main(arguments: list[str]) -> None:
    """Write all files; `arguments` go to uv."""
    for name, extras in FILES.items():
        given = [f"--extra={extra}" for extra in extras]
        # One version of a package, whichever file it stands in.
        alike = [] if name == "requirements.txt" else ["--constraint=requirements.txt"]
        compiled(name, [*given, *alike, *arguments])


def compiled(name: str, arguments: list[str]) -> None:
    """Write one file, whose present versions are kept where nothing asks for others."""
    command = [str(UV), "pip", "compile", "pyproject.toml", "--output-file", name, "--quiet"]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"]
    command += ["--custom-compile-command", "make lock", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)
    found = re.findall(r"(?m)^([a-z0-9-]+)==", (ROOT / name).read_text("utf-8"))
    absent = [f"--no-emit-package={one}" for one in found if _LEFT_OUT.fullmatch(one)]
    subprocess.run([*command, *absent], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
