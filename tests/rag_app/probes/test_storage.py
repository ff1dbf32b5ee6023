import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_app.probes import storage as probing
from rag_app.probes.base import Problem
from rag_app.probes.storage import storage

_NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach, too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def without_rights() -> Iterator[None]:
    """As another user, where this one may write everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_is_made_tried_and_left_empty(tmp_path):
    folder = tmp_path / "a" / "b"
    found = storage(folder)
    assert f"{folder}, written as user {os.geteuid()}, mode 0" in found
    assert "GB free" in found
    assert "EVERYBODY" not in found
    assert list(folder.iterdir()) == []


def test_a_folder_that_everybody_may_write_is_told(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "EVERYBODY may write it (chmod o-w)" in storage(tmp_path / "open")


def test_a_folder_of_read_only_rights_names_user_owner_and_mode(open_folder):
    open_folder.chmod(0o555)
    with without_rights():
        user = os.geteuid()
        with pytest.raises(Problem) as problem:
            storage(open_folder)
    assert problem.value.message == f"{open_folder} cannot be written by user {user}"
    assert problem.value.cause.startswith("permission denied; ")
    assert f"is of user {os.geteuid()}, mode 0555" in problem.value.cause
    assert "RAG_APP_STORAGE__PATH" in problem.value.hint


def test_a_folder_below_one_of_read_only_rights_names_the_one_above(open_folder):
    open_folder.chmod(0o555)
    with without_rights(), pytest.raises(Problem) as problem:
        storage(open_folder / "storage")
    assert f"; {open_folder} is of user" in problem.value.cause


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Problem, match="cannot be written"):
        storage(tmp_path / "file")


def test_a_disk_with_no_room_is_told(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(probing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Problem, match="has 5 MB left"):
        storage(tmp_path)
