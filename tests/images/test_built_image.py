"""The application's image, really built and run: `make test-images`.

buildah builds the Dockerfile over a Debian that debootstrap makes in place of Docker Hub's Python;
bubblewrap runs what it built as compose would: read-only root, the image's user, no capability, no
network but loopback, and only the declared folders writable.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deployment.compose import ROOT, services

pytestmark = pytest.mark.skipif(
    not os.environ.get("TEST_IMAGES"),
    reason="optional: make test-images builds and runs the image, in some minutes",
)
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,passwd"
_BASE = "localhost/stand-in-for-python"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NEEDED = ("buildah", "debootstrap", "bwrap")


@dataclass(frozen=True)
class Image:
    """A built image: its root file system, and what it says of how to start it."""

    root: Path
    config: dict[str, object]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    missing = [tool for tool in _NEEDED if not shutil.which(tool)]
    assert not missing, f"apt-get install {' '.join(missing)}"
    folder = tmp_path_factory.mktemp("images")
    buildah = [
        "buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run"),
        "--storage-driver", "vfs",
    ]  # fmt: skip
    try:
        _make_base(buildah, folder / "debian")
        _do(
            *buildah, "build", "--isolation", "chroot", "--network", "host", "--layers=false",
            "--pull-never", "--format", "docker", "--target", "app",
            "--build-arg", f"PYTHON_IMAGE={_BASE}", *_shared_with_pip(), "--tag", "rag-app", ".",
        )  # fmt: skip
        container = _do(*buildah, "from", "--pull-never", "localhost/rag-app")
        root = Path(_do(*buildah, "mount", container))
        described = json.loads(_do(*buildah, "inspect", "--type", "image", "rag-app"))
        yield Image(root, described["Docker"]["config"])
    finally:
        subprocess.run([*buildah, "rm", "--all"], capture_output=True, check=False)
        shutil.rmtree(folder)


def _make_base(buildah: list[str], root: Path) -> None:
    """An image that has what the Dockerfile uses of Docker Hub's `python`."""
    _do("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root))
    (root / "usr/bin/python").symlink_to("python3")
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(root / folder)
    container = _do(*buildah, "from", "scratch")
    _do(*buildah, "add", "--quiet", container, str(root), "/")
    settings = {"PATH": _PATH, **{k: v for k, v in os.environ.items() if k.startswith("PIP_")}}
    for name, value in settings.items():
        _do(*buildah, "config", "--env", f"{name}={value}", container)
    _do(*buildah, "commit", "--quiet", "--rm", container, _BASE)
    shutil.rmtree(root)


def _shared_with_pip() -> list[str]:
    """What the build sees of this machine: its certificates, and folders that pip is set to use."""
    named = {word for k, v in os.environ.items() if k.startswith("PIP_") for word in v.split()}
    paths = {"/etc/ssl/certs", "/etc/resolv.conf"} | {p for p in named if Path(p).is_dir()}
    return [part for path in sorted(paths) for part in ("--volume", f"{path}:{path}:ro")]


def _do(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout.strip()


def confined(image: Image, folder: Path, script: Path) -> list[str]:
    """The command that runs `script` in the image as compose runs the application."""
    one, config = services()["app"], image.config
    user, _, group = str(config["User"]).partition(":")
    command = ["bwrap", "--ro-bind", str(image.root), "/", "--dev", "/dev", "--proc", "/proc"]
    for mount in one["tmpfs"]:
        command += ["--perms", "1777", "--tmpfs", mount.split(":")[0]]
    for volume in one["volumes"]:
        name, target = volume.split(":")
        (folder / name).mkdir()
        os.chown(folder / name, int(user), int(group))
        command += ["--bind", str(folder / name), target]
    command += ["--ro-bind", str(script), "/tmp/inside.py", "--die-with-parent", "--clearenv"]
    command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    for setting in [*config["Env"], "RAG_APP_SERVER__PASSWORD=of-the-test"]:  # type: ignore[misc]
        command += ["--setenv", *setting.split("=", 1)]
    command += ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"]
    return [*command, "--inh-caps=-all", "--bounding-set=-all", "python", "/tmp/inside.py"]


def test_the_built_image_serves_answers_and_keeps_its_data(image, tmp_path):
    command = [*image.config["Entrypoint"], *image.config["Cmd"]]
    _, *health = services()["app"]["healthcheck"]["test"]
    assert image.config["Healthcheck"]["Test"] == ["CMD", *health]
    script = Path(__file__).with_name("inside.py")
    said = subprocess.run(
        [*confined(image, tmp_path, script), json.dumps(command), json.dumps(health)],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-3000:]
    seen = json.loads(said.stdout.splitlines()[-1])
    report = f"ready after {seen['seconds']:.1f} s, and {seen['seconds_again']:.1f} s the next time"
    sys.stdout.write(f"{report}\n")
    assert seen["user"] == 10001
    assert seen["reaches_out"] is False
    assert seen["read_only"] == ["/", "/opt", "/etc", "/models", "/usr"]
    for asked in ("answer", "answer_again", "answer_restored"):
        assert "1931" in seen[asked], asked
    assert (seen["stopped"], seen["stopped_again"]) == (0, 0)
    assert seen["listed"] == {"collections": []}


def test_how_much_the_image_takes(image):
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    ours = sum(path.stat().st_size for path in files if "/opt/rag-app/" in str(path))
    whole = sum(path.stat().st_size for path in files)
    sys.stdout.write(f"{ours / 1e6:.0f} MB of {whole / 1e6:.0f} MB, the rest is the stand-in\n")
    assert ours < 1_000_000_000
