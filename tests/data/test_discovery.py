"""Which files are found and what they are called."""

from os import mkfifo
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.discovery import _Candidate, _part, discover
from data.errors import DataError


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    return folder


def sources(*paths: Path) -> list[str]:
    return [found.source for found in discover(paths).files]


def test_a_file_is_called_by_its_name_whatever_its_type(tmp_path):
    make(tmp_path, "deep/down/a.txt", "b.odd")
    assert sources(tmp_path / "deep/down/a.txt", tmp_path / "b.odd") == ["a.txt", "b.odd"]


def test_a_folder_gives_sorted_relative_names_and_lists_what_it_cannot_read(tmp_path):
    make(tmp_path, "z.md", "b/c.PDF", "a/x.txt", "b/tune.mp3")
    found = discover([tmp_path])
    assert [each.source for each in found.files] == ["z.md", "a/x.txt", "b/c.PDF"]
    assert found.ignored == {tmp_path / "b/tune.mp3": "files that end in .mp3 are not read"}


def test_what_a_folder_holds_that_is_not_read_is_listed_with_the_reason(tmp_path):
    make(tmp_path, "Makefile", "tune.mp3", ".hidden.txt", "far/a.txt")
    mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "far/a.txt")
    (tmp_path / "folder").symlink_to(tmp_path / "far")
    ignored = discover([tmp_path]).ignored
    assert {path.name: reason for path, reason in ignored.items()} == {
        "Makefile": "files without an ending are not read",
        "tune.mp3": "files that end in .mp3 are not read",
        "pipe.txt": "it is not a regular file",
        "link.txt": "symbolic links in folders are not followed",
        "folder": "symbolic links in folders are not followed",
    }


def test_hidden_files_and_symbolic_links_in_folders_are_skipped(tmp_path):
    make(tmp_path, ".git/a.txt", ".b.txt", "c.txt", "other/d.txt")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/link.txt").symlink_to(tmp_path / "c.txt")
    (tmp_path / "docs/folder").symlink_to(tmp_path / "other")
    assert discover([tmp_path / "docs"]).files == ()
    assert sources(tmp_path) == ["c.txt", "other/d.txt"]


def test_a_named_symbolic_link_is_followed_and_keeps_its_name(tmp_path):
    make(tmp_path, "c.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "c.txt")
    assert sources(tmp_path / "link.txt", tmp_path / "c.txt") == ["link.txt"]


def test_the_same_file_counts_once(tmp_path):
    make(tmp_path, "docs/a.txt")
    assert sources(tmp_path / "docs", tmp_path / "docs/a.txt", tmp_path) == ["a.txt"]


def test_equal_names_get_the_names_of_their_folders(tmp_path):
    make(tmp_path, "one/docs/a.txt", "two/docs/a.txt", "two/docs/b.txt")
    assert sources(tmp_path / "one/docs", tmp_path / "two/docs") == [
        "one/docs/a.txt",
        "two/docs/a.txt",
        "b.txt",
    ]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        discover([tmp_path / "nowhere.txt"])
    with pytest.raises(DataError, match="file name too long"):
        discover([tmp_path / ("a" * 256)])


def test_paths_are_taken_from_where_one_is(tmp_path, monkeypatch):
    make(tmp_path, "sub/a.txt")
    monkeypatch.chdir(tmp_path / "sub")
    assert sources(Path()) == ["a.txt"]
    assert sources(Path("../sub/a.txt")) == ["a.txt"]


PARTS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(tuple)


@given(paths=st.lists(PARTS, max_size=12, unique=True), depth=st.integers(1, 2))
def test_different_paths_end_up_with_different_names(paths, depth):
    candidates = [_Candidate(Path(*parts), parts, min(depth, len(parts))) for parts in paths]
    _part(candidates)
    names = [each.source() for each in candidates]
    assert len(set(names)) == len(names)
    assert all("/".join(each.parts).endswith(each.source()) for each in candidates)
