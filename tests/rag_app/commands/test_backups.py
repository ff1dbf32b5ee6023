"""Backing up and restoring from the command line, with files and pipes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rag_app.command import MAIN, environment, rag_app, require_clean
from tests.rag_app.support import prose, write


@pytest.fixture
def storage(tmp_path) -> Path:
    folder = write(tmp_path / "in", {f"{name}.txt": prose(name, 24) for name in "ab"})
    rag_app("ingest", folder, storage=tmp_path / "storage")
    return tmp_path / "storage"


def found(storage: Path) -> object:
    done = rag_app("search", "harbour lantern", "--json", storage=storage)
    hits = json.loads(done.stdout)["hits"]
    return [(hit["passage_id"], hit["source"], hit["text"]) for hit in hits]


def piped(command: str, storage: Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*MAIN, *command.split()],
        env=environment(storage),
        input=data,
        capture_output=True,
        timeout=400,
        check=False,
    )
    require_clean(done.returncode, done.stderr.decode())
    return done


def test_a_file_brings_everything_to_another_machine(storage, tmp_path):
    file, there = tmp_path / "backup.tar", tmp_path / "there"
    done = rag_app("backup", file, "--json", storage=storage)
    report = json.loads(done.stdout)
    assert (report["file"], report["bytes"]) == (str(file), file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert report["collections"][0]["documents"] == report["collections"][0]["originals"] == 2
    done = rag_app("restore", file, storage=there)
    assert "default: 2 documents" in done.stdout
    assert found(there) == found(storage)
    refused = rag_app("restore", file, storage=there)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--replace" in refused.stderr
    assert rag_app("restore", file, "--replace", storage=there).returncode == 0
    file.write_bytes(file.read_bytes()[:-3000])
    damaged = rag_app("restore", file, "--replace", storage=there)
    assert damaged.returncode == 1
    assert "the backup is damaged" in damaged.stderr
    assert found(there) == found(storage)


def test_pipes_carry_the_backup_and_nothing_else(storage, tmp_path):
    there = tmp_path / "there"
    written = piped("backup - --json", storage)
    assert json.loads(written.stderr)["bytes"] == len(written.stdout)
    read = piped("restore - --json", there, written.stdout)
    assert json.loads(read.stdout)["file"] == "-"
    assert found(there) == found(storage)


def test_a_lost_original_is_told_by_the_exit_status(storage, tmp_path):
    next((storage / "files" / "default").iterdir()).unlink()
    done = rag_app("backup", tmp_path / "backup.tar", storage=storage)
    assert done.returncode == 3
    assert "missing: the original file of default/" in done.stdout


@pytest.mark.parametrize(("target", "status"), [("absent/backup.tar", 1), (".", 2)])
def test_where_nothing_can_be_written_nothing_is(storage, tmp_path, target, status):
    before = sorted(tmp_path.glob("*"))
    done = rag_app("backup", tmp_path / target, storage=storage)
    assert done.returncode == status
    assert sorted(tmp_path.glob("*")) == before


def test_a_stop_leaves_the_old_file_and_no_unfinished_one(tmp_path):
    code = (
        "import os, signal\n"
        "from rag_app.collections.backup import Backups\n"
        "def write(self, names):\n"
        "    yield b'half'\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: yield b'more'\n"
        "Backups.write = write\n"
        "from rag_app.cli import main; main()"
    )
    file = tmp_path / "to" / "backup.tar"
    write(file.parent, {file.name: "precious"})
    command = [sys.executable, "-c", code, "backup", str(file)]
    env = environment(tmp_path / "storage")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    require_clean(done.returncode, done.stderr)
    assert done.returncode == 130
    assert {path.name: path.read_text() for path in file.parent.iterdir()} == {
        "backup.tar": "precious"
    }


def test_a_collection_that_is_not_there_leaves_the_old_file(storage, tmp_path):
    file = tmp_path / "backup.tar"
    file.write_text("precious")
    done = rag_app("backup", file, "--collection", "absent", storage=storage)
    assert done.returncode == 1
    assert file.read_text() == "precious"


def test_a_file_that_is_not_there_is_named(tmp_path):
    done = rag_app("restore", tmp_path / "absent.tar", storage=tmp_path / "storage")
    assert done.returncode == 1
    assert "absent.tar" in done.stderr
