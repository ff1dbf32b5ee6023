"""A tar file that is written and read as a stream, and whose every byte of content is checked.

Its last member is `SHA256SUMS`, so that ``tar xf FILE && sha256sum -c SHA256SUMS`` checks it too;
an archive without it is not whole.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rag_app.errors import ApplicationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

SUMS = "SHA256SUMS"
_PIECE = 1 << 20
_LARGEST_SUMS = 1 << 30
_LINE = re.compile(r"([0-9a-f]{64})  ([!-~]+)")


class DamagedBackup(ApplicationError):
    """What is to be restored is not what was backed up, or not all of it."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "the backup is damaged",
            cause=cause,
            hint="Nothing has been changed; take another copy of it, or another backup",
        )


class ArchiveWriter:
    """Makes the bytes of an archive, member by member; names are ASCII without spaces.

    Args:
        time: when it is made, seconds since 1970; members carry it.
    """

    def __init__(self, time: float) -> None:
        self._time = int(time)
        self._sums: list[str] = []

    def data(self, name: str, content: bytes) -> Iterator[bytes]:
        """A member."""
        yield from self._member(name, len(content), iter([content]))

    def file(self, name: str, path: Path) -> Iterator[bytes]:
        """A member with a file's content, and its SHA-256.

        Raises:
            OSError: it cannot be read, or is shorter than it said; the archive is spoilt then.
        """
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            yield from self._member(name, size, _pieces(file, size))

    def end(self) -> Iterator[bytes]:
        """The sums, and the end of the archive."""
        yield from self.data(SUMS, "".join(self._sums).encode("ascii"))
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _member(self, name: str, size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._time, 0o600
        yield info.tobuf(tarfile.PAX_FORMAT)
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            yield piece
        yield bytes(-size % tarfile.BLOCKSIZE)
        self._sums.append(f"{digest.hexdigest()}  {name}\n")


class Member:
    """A member of an archive that is being read; read it, or let it be passed over."""

    def __init__(self, name: str, size: int, content: IO[bytes]) -> None:
        self.name, self.size = name, size
        self._content, self._digest = content, hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """What is left of its content, piece by piece. Raises DamagedBackup where it is cut."""
        while piece := self._next():
            self._digest.update(piece)
            yield piece

    def read(self, most: int) -> bytes:
        """Its content. Raises DamagedBackup where that is more than `most` bytes."""
        if self.size > most:
            raise DamagedBackup(f"{self.name} is {self.size} bytes long")
        return b"".join(self.pieces())

    def _next(self) -> bytes:
        try:
            return self._content.read(_PIECE)
        except tarfile.TarError as error:
            raise DamagedBackup(str(error)) from error

    def sum(self) -> str:
        """SHA-256 of its content, hexadecimal; what is left of it is passed over."""
        for _ in self.pieces():
            pass
        return self._digest.hexdigest()


def members(pieces: Iterable[bytes]) -> Iterator[Member]:
    """The members of an archive, checked: iterating ends without an error if all was right.

    What a member holds is known to be right only then.

    Args:
        pieces: the archive's bytes, cut anywhere; taken to the last.

    Raises:
        DamagedBackup: a byte has changed, or some are missing.
    """
    sums: dict[str, str] = {}
    stream = io.BufferedReader(_Pieces(pieces), _PIECE)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                content = archive.extractfile(info) if info.isreg() else None
                if content is None:
                    raise DamagedBackup(f"{info.name} is not a plain file")
                member = Member(info.name, info.size, content)
                if member.name == SUMS:
                    _compare(sums, member.read(_LARGEST_SUMS))
                    _drain(stream)
                    return
                if member.name in sums:
                    raise DamagedBackup(f"it holds {member.name} twice")
                yield member
                sums[member.name] = member.sum()
    except (tarfile.TarError, UnicodeError) as error:
        raise DamagedBackup(str(error)) from error
    raise DamagedBackup("it ends too early")


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        into = memoryview(buffer).cast("B")
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(into), len(self._rest))
        into[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _compare(found: dict[str, str], listed: bytes) -> None:
    lines = [_LINE.fullmatch(line) for line in listed.decode("ascii").splitlines()]
    expected = {line[2]: line[1] for line in lines if line}
    if None in lines or found.keys() != expected.keys():
        raise DamagedBackup("it does not hold what its list names")
    changed = [name for name, digest in expected.items() if found[name] != digest]
    if changed:
        raise DamagedBackup(f"{', '.join(changed)} changed since")


def _drain(stream: IO[bytes]) -> None:
    """Read on, so that whoever writes to the other end of a pipe comes to an end."""
    while stream.read(_PIECE):
        pass


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise OSError(f"{file.name} became shorter while it was read")
        size -= len(piece)
        yield piece
