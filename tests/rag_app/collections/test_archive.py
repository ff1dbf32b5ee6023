import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.collections.archive import SUMS, ArchiveWriter, DamagedBackup, members

CONTENTS = {"one.json": b"{}", "two/part-1": b"x" * 1200, "two/empty": b"", "three": bytes(512)}


def archive(contents: dict[str, bytes]) -> bytes:
    writer = ArchiveWriter(0)
    parts = [piece for name, content in contents.items() for piece in writer.data(name, content)]
    return b"".join([*parts, *writer.end()])


def read(pieces: Iterable[bytes]) -> dict[str, bytes]:
    return {member.name: member.read(1 << 20) for member in members(pieces)}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[first : first + size] for first in range(0, len(data), size))


def tar(*infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """As any other program might write it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for info, content in infos:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,90}", fullmatch=True), st.binary(max_size=2000)),
    st.integers(1, 3000),
)
def test_what_was_written_is_read_however_it_is_cut(contents, size):
    assert read(cut(archive(contents), size)) == contents


def test_members_may_be_passed_over(tmp_path):
    names = [member.name for member in members([archive(CONTENTS)])]
    assert names == list(CONTENTS)


def test_a_file_is_a_member_too(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 9000)
    writer = ArchiveWriter(0)
    parts = [*writer.file("file", path), *writer.end()]
    assert max(map(len, parts)) <= 1 << 20
    (content,) = [b"".join(member.pieces()) for member in members(parts)]
    assert content == path.read_bytes()
    (digest,) = [member.sum() for member in members(parts)]
    assert digest == hashlib.sha256(content).hexdigest()


def test_other_programs_can_read_and_check_it():
    with tarfile.open(fileobj=io.BytesIO(archive(CONTENTS))) as file:
        held = {info.name: file.extractfile(info).read() for info in file}
    lines = held.pop(SUMS).decode().splitlines()
    assert held == CONTENTS
    assert lines == [f"{hashlib.sha256(c).hexdigest()}  {name}" for name, c in CONTENTS.items()]


def test_no_changed_byte_changes_what_is_read():
    whole = archive(CONTENTS)
    found = 0
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 0x11
        try:
            assert read([bytes(changed)]) == CONTENTS  # padding
        except DamagedBackup:
            found += 1
    assert found > sum(map(len, CONTENTS.values())) / 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_an_archive_that_ends_early_is_not_whole(share):
    whole = archive(CONTENTS).rstrip(b"\0")
    with pytest.raises(DamagedBackup, match="Nothing has been changed"):
        read([whole[: int(share * len(whole))]])


def test_a_member_is_never_read_whole_where_it_is_too_large():
    with pytest.raises(DamagedBackup, match="two/part-1 is 1200 bytes long"):
        for member in members([archive(CONTENTS)]):
            member.read(1000)


def test_what_is_no_archive_of_ours_is_refused():
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    plain = tarfile.TarInfo("plain")
    sums = (tarfile.TarInfo(SUMS), b"")
    for data, cause in [
        (b"no tar at all" * 100, ""),
        (tar((link, b"")), "link is not a plain file"),
        (tar((plain, b"x")), "ends too early"),
        (tar((plain, b"x"), sums), "does not hold what its list names"),
        (tar((plain, b"x"), (plain, b"x")), "holds plain twice"),
        (tar((plain, b"x"), (tarfile.TarInfo(SUMS), b"\xff")), ""),
    ]:
        with pytest.raises(DamagedBackup, match=cause or None):
            read([data])


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(bytes(3 << 20))
    parts = ArchiveWriter(0).file("file", path)
    next(parts)
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="became shorter"):
        list(parts)
