"""Writes what is locked as a bill of materials, and asks a database for known faults of it.

    make audit

build/sbom.json is in CycloneDX's form and needs no network. Exit status: 0 nothing is known against
any version, 1 something is, 2 the database could not be asked, which says nothing of the versions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKED = "requirements.txt"
BOM = "build/sbom.json"
_HERE = Path(sys.executable).parent


def write_bom(root: Path = ROOT) -> Path:
    """The bill of materials of the locked versions, with their hashes."""
    target = root / BOM
    target.parent.mkdir(exist_ok=True)
    command = [_HERE / "cyclonedx-py", "requirements", LOCKED, "--output-file", target]
    subprocess.run([*command, "--output-reproducible"], cwd=root, check=True)
    return target


def known_faults(root: Path = ROOT, *options: str) -> list[str] | None:
    """What is known against the locked versions; None where nobody could be asked."""
    command = [str(_HERE / "pip-audit"), "--requirement", LOCKED, "--require-hashes"]
    command += ["--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, *options], cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "PIP_AUDIT_NO_COLOR": "1"},
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.stderr.write(done.stderr[-2000:])
        return None
    return [
        f"{one['name']} {one['version']}: {fault['id']}, mended in"
        f" {', '.join(fault['fix_versions']) or 'no version yet'}"
        for one in found
        for fault in one.get("vulns", ())
    ]


def main(options: list[str], root: Path = ROOT) -> int:
    """Write and ask."""
    sys.stdout.write(f"bill of materials: {write_bom(root)}\n")
    faults = known_faults(root, *options)
    if faults is None:
        sys.stdout.write("NOT CHECKED: the database of known faults could not be asked\n")
        return 2
    found = "\n".join(faults) or "nothing is known against any locked version"
    sys.stdout.write(f"{found}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
