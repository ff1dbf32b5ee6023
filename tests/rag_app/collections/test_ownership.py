import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rag_app.collections.ownership import HeldByAnother, Ownership
from rag_app.errors import ApplicationError

HOLDER = """
import sys, time
from pathlib import Path
sys.argv[1:] = ["ui"]
from rag_app.collections.ownership import Ownership
ownership = Ownership(Path({folder!r}))
print(ownership.announce("http://127.0.0.1:1") if {announce} else "", flush=True)
time.sleep(60)
"""


def hold(folder: Path, announce: bool) -> subprocess.Popen[str]:
    """Another process that owns the folder; its first line of output is the token."""
    code = HOLDER.format(folder=str(folder), announce=announce)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_finds_out_who_owns_the_folder_until_that_dies(tmp_path):
    process = hold(tmp_path, announce=True)
    try:
        token = process.stdout.readline().strip()
        with pytest.raises(HeldByAnother) as caught:
            Ownership(tmp_path)
        owner = caught.value.owner
        assert (owner.pid, owner.command) == (process.pid, "rag-app ui")
        assert (owner.address, owner.token) == ("http://127.0.0.1:1", token)
        assert len(token) >= 32
        message = str(caught.value)
        assert str(process.pid) in message
        assert "rag-app ui" in message
        assert token not in message
        assert stat.S_IMODE((tmp_path / "owner.json").stat().st_mode) == 0o600
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / "owner.json").is_file(), "the note is stale now"
        ownership = Ownership(tmp_path)
        note = json.loads((tmp_path / "owner.json").read_text())
        assert (note["pid"], note["address"], note["token"]) == (os.getpid(), "", "")
        ownership.release()
    finally:
        end(process)


def test_a_lock_that_a_killed_owner_has_left_to_its_child_is_awaited(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from rag_app.collections.ownership import *;"
        "held = Ownership(Path(sys.argv[1])); child = os.fork();"
        "child or (sys.stdin.read(), os._exit(0)); print(child, flush=True); os.wait()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.kill()
    process.wait()
    timer = threading.Timer(0.05, process.stdin.close)
    timer.start()
    Ownership(tmp_path).release()
    timer.join()
    process.stdout.close()


def test_an_owner_without_address_is_told_apart(tmp_path):
    process = hold(tmp_path, announce=False)
    try:
        process.stdout.readline()
        with pytest.raises(HeldByAnother, match=str(process.pid)) as caught:
            Ownership(tmp_path)
        assert caught.value.owner.address == ""
    finally:
        end(process)


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "strange": 2}', "\xff"])
def test_an_unreadable_note_leaves_the_owner_unnamed(tmp_path, note):
    ownership = Ownership(tmp_path)
    (tmp_path / "owner.json").write_bytes(note.encode("latin-1"))
    with pytest.raises(HeldByAnother, match="another process owns it") as caught:
        Ownership(tmp_path)
    assert caught.value.owner is None
    ownership.release()


def test_released_folders_can_be_owned_again_and_keep_no_note(tmp_path):
    ownership = Ownership(tmp_path / "new" / "folder")
    ownership.release()
    ownership.release()
    assert not (tmp_path / "new" / "folder" / "owner.json").exists()
    Ownership(tmp_path / "new" / "folder").release()


def test_a_released_owner_does_not_delete_the_next_ones_note(tmp_path):
    first = Ownership(tmp_path)
    first.release()
    second = Ownership(tmp_path)
    first.release()
    assert (tmp_path / "owner.json").is_file()
    second.release()


def test_every_announcement_has_a_token_of_its_own(tmp_path):
    ownership = Ownership(tmp_path)
    assert ownership.announce("http://a") != ownership.announce("http://a")
    ownership.release()


def test_the_note_is_private_whatever_a_crash_has_left(tmp_path):
    left = tmp_path / "owner.part"
    left.write_text("half a note")
    left.chmod(0o644)
    ownership = Ownership(tmp_path)
    assert stat.S_IMODE((tmp_path / "owner.json").stat().st_mode) == 0o600
    ownership.release()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ApplicationError, match=r"not a directory.*RAG_APP_STORAGE__PATH"):
        Ownership(tmp_path / "file" / "storage")
    with pytest.raises(ApplicationError, match="file exists"):
        Ownership(tmp_path / "file")
