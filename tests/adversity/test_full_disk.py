"""A disk that is really full: writes are refused with the reason, and searches go on."""

import subprocess
import sys

from tests.adversity.file_systems import small_disk
from tests.rag_app.command import REPOSITORY


def test_on_a_full_disk_writes_are_refused_and_searches_go_on(tmp_path):
    with small_disk(tmp_path / "disk", 512) as disk:
        done = subprocess.run(
            [sys.executable, "-m", "tests.adversity.full_disk", str(disk)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
