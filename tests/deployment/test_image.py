"""The Dockerfile: linted, and its steps for the application done in a clean environment.

No container engine is needed. The steps are read from the Dockerfile itself, run in a scratch
folder in place of the image's root, and the result is started as a user without rights over it.
"""

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_app.web.healthcheck import main as ready
from tests.deployment.compose import ROOT, stage

_NOBODY = 65534
_IMAGE_BYTES = 1_000_000_000


def test_the_linter_has_no_objection():
    linter = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [str(linter), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_the_last_stages_have_a_user_without_rights_and_a_health_check():
    for name in ("app", "engine"):
        assert "\nUSER 10001:10001\n" in stage(name)
        assert "HEALTHCHECK" in stage(name)
        assert "org.opencontainers.image.licenses" in stage(name)
    assert "pip" not in stage("app"), "nothing is installed where the application runs"


def test_what_goes_to_the_builder_is_all_that_is_copied_and_no_secret():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"(?m)^COPY (?!--from)(.+)$", stage("build"))
    sources = {source for line in copied for source in line.split()[:-1]}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The build stage's result: `/src` and `/opt` become folders here."""
    root = tmp_path_factory.mktemp("image")
    (root / "src").mkdir()
    (root / "opt").mkdir()
    for line in stage("build").splitlines():
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for source in sources:
                _copy(ROOT / source, root / "src", target)
        elif line.startswith("RUN "):
            _do(line.removeprefix("RUN "), root)
    if os.getuid():  # as root, the server is started as somebody who may not write here
        subprocess.run(["chmod", "-R", "a-w", str(root)], check=True)
    yield root
    if os.getuid():
        subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)
    shutil.rmtree(root)


@functools.cache
def _python() -> str:
    """A Python that any user may run; one in root's own folder is none."""
    somebody = {"user": _NOBODY, "group": _NOBODY} if os.getuid() == 0 else {}
    for candidate in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        check = "import sys, venv; sys.exit(sys.version_info < (3, 11))"
        try:
            subprocess.run([candidate, "-c", check], check=True, capture_output=True, **somebody)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    raise AssertionError("no Python 3.11 that every user may run: apt-get install python3")


def _copy(source: Path, folder: Path, target: str) -> None:
    if source.is_dir():
        shutil.copytree(source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, folder)


def _do(command: str, root: Path) -> None:
    """Run a step of the Dockerfile; pip's options stand in its ENV."""
    command = command.replace("/opt/", f"{root}/opt/").replace("python -m", f"{_python()} -m")
    command = re.sub(r"(^|\s)pip ", rf"\1{sys.executable} -m pip ", command)
    environment = {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        ["sh", "-euc", command], cwd=root / "src", env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


@pytest.mark.slow
def test_the_steps_leave_less_than_a_gigabyte(image):
    size = sum(file.lstat().st_size for file in (image / "opt").rglob("*") if not file.is_symlink())
    assert size < _IMAGE_BYTES, f"{size / 1e6:.0f} MB"


@pytest.mark.slow
def test_it_serves_as_a_user_without_rights_from_read_only_files(image, tmp_path):
    storage, home = tmp_path / "storage", tmp_path / "home"
    storage.mkdir()
    home.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": f"{image}/opt/rag-app/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home),
        "PYTHONDONTWRITEBYTECODE": "1", "RAG_APP_STORAGE__PATH": str(storage),
    }  # fmt: skip
    identity = {}
    if os.getuid() == 0:
        for folder in (storage, home):
            shutil.chown(folder, _NOBODY, _NOBODY)
        _open_the_way(tmp_path)
        _open_the_way(image)
        identity = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    command = [f"{image}/opt/rag-app/bin/rag-app", "serve", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=said, stderr=said, **identity
        )
    try:
        deadline = time.monotonic() + 240
        while ready([f"http://127.0.0.1:{port}/readyz"]):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def _open_the_way(folder: Path) -> None:
    """Let others pass through the folders above, which pytest makes for one user alone."""
    for above in [folder, *folder.parents]:
        if above.stat().st_uid == os.getuid() and above.stat().st_mode & 0o005 != 0o005:
            above.chmod(above.stat().st_mode | 0o055)
