"""Files appear whole, or not at all."""

import os
from pathlib import Path

import pytest

from data.files import held, read_text, replacing, write_text


def test_the_new_content_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"ne")
        file.flush()
        assert path.read_text() == "old", "until the end readers see the old content"
        file.write(b"w")
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_an_error_changes_nothing_and_leaves_nothing(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_is_replaced_and_what_it_points_at_is_left_alone(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    write_text(link, "theirs")
    assert target.read_text() == "mine"
    assert not link.is_symlink()


def test_a_file_is_never_readable_by_others(tmp_path):
    path = tmp_path / "key"
    path.write_text("")
    path.chmod(0o644)
    with replacing(path) as file:
        (unfinished,) = set(tmp_path.iterdir()) - {path}
        assert unfinished.stat().st_mode & 0o777 == 0o600
        file.write(b"secret")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_name_of_the_longest_kind_can_be_written(tmp_path):
    path = tmp_path / ("x" * 250)
    write_text(path, "\ud800 is no text")
    assert path.read_text() == "? is no text"


def test_one_at_a_time_writes_in_a_folder(tmp_path):
    with held(tmp_path, ValueError("busy")), pytest.raises(ValueError, match="busy"):
        with held(tmp_path, ValueError("busy")):
            pass
    with held(tmp_path, ValueError("busy")):
        pass


def test_what_is_no_regular_file_is_refused_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(OSError, match="not a regular file"):
            read_text(path)
    (tmp_path / "link").symlink_to(tmp_path / "note.txt")  # as Kubernetes hands out secrets
    write_text(tmp_path / "note.txt", "ä\n")
    assert read_text(tmp_path / "link") == "ä\n"
