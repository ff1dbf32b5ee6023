"""Whether a file's content is what its extension says, and safe to unpack."""

import zipfile
from pathlib import Path, PurePosixPath

from data.components import LOADERS
from data.errors import UnreadableFile
from data.limits import MIB, Limits
from data.loaders.encodings import looks_binary

_HEAD = 8192
_FREE_EXPANSION = 32 * MIB
"""Containers that expand to less than this may exceed the ratio."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"(\xb5/\xfd", "a zstd archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"{\\rtf", "rtf"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "a SQLite database"),
)
_ZIPPED: tuple[tuple[str, str, bytes], ...] = (
    ("docx", "[Content_Types].xml", b"wordprocessingml."),
    ("pptx", "[Content_Types].xml", b"presentationml."),
    ("xlsx", "[Content_Types].xml", b"spreadsheetml."),
    ("odt", "mimetype", b"application/vnd.oasis.opendocument.text"),
    ("epub", "mimetype", b"application/epub+zip"),
)
_PICTURES = frozenset({"a PNG image", "a JPEG image", "a TIFF image"})
_ARCHIVES = "Unpack it and add the files"


def check(path: Path, name: str, kind: str, limits: Limits) -> None:
    """Raise UnreadableFile where the file at `path` is not safely a `kind`; `name` is shown."""
    size = path.stat().st_size
    check_size(size, name, kind, limits)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip() and size <= _HEAD:
        raise UnreadableFile(f"cannot read {name}", cause="it is empty")
    found = _content(head, path)
    if found == "zip":
        found = _open_container(path, name, size, limits)
    if found == "ole" and kind == "msg":
        return
    if found == "rtf":
        found = "text" if kind == "rtf" else "an RTF document"
    if found == "ole":
        raise UnreadableFile(
            f"cannot read {name}",
            cause="it is an Office file of the old binary kind, or protected by a password",
            hint="Save it as .docx, .pptx or .xlsx without a password",
        )
    if found != _family(kind) and not (kind == "images" and found in _PICTURES):
        raise UnreadableFile(
            f"cannot read {name}",
            cause=f"its content is {_described(found)}, which is not what its extension says",
            hint=_ARCHIVES if found.endswith("archive") else _rename(found),
        )


def check_size(size: int, name: str, kind: str, limits: Limits) -> None:
    """Raise UnreadableFile where a file of `size` bytes is too large for its kind."""
    streamed = kind in LOADERS and LOADERS[kind].streamed
    limit = limits.max_stream_bytes if streamed else limits.max_file_bytes
    if size > limit:
        raise UnreadableFile(
            f"cannot read {name}",
            cause=f"it has {size / MIB:.0f} MiB, the limit is {limit / MIB:.0f} MiB",
            hint="Split it, or raise the limit",
        )


def _family(kind: str) -> str:
    return kind if kind in {"pdf", "images", *(row[0] for row in _ZIPPED)} else "text"


def _content(head: bytes, path: Path) -> str:
    """What the first bytes say: pdf, zip, ole, text, or the name of something else."""
    for signature, found in _SIGNATURES:
        if head.startswith(signature):
            return found
    if head.startswith(b"ustar", 257):
        return "a tar archive"
    if head[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    if looks_binary(head):
        return "pdf" if b"%PDF-" in head[:1024] else _tail(path)
    return "text"


def _tail(path: Path) -> str:
    """Zip containers may carry a preface; their directory is at the end."""
    return "zip" if zipfile.is_zipfile(path) else "binary data"


def _described(found: str) -> str:
    return found if " " in found else f"a {found.upper()} file" if found != "text" else "plain text"


def _rename(found: str) -> str:
    return f"Rename it to .{found}" if " " not in found and found != "text" else ""


def _open_container(path: Path, name: str, size: int, limits: Limits) -> str:
    """The kind of a zip container whose members are within the limits."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, name, size, limits)
            return _container_kind(archive)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise UnreadableFile(
            f"cannot read {name}", cause=f"its container is damaged ({error})"
        ) from error


def _check_members(members: list[zipfile.ZipInfo], name: str, size: int, limits: Limits) -> None:
    def refuse(cause: str, hint: str = "") -> UnreadableFile:
        return UnreadableFile(f"cannot read {name}", cause=cause, hint=hint)

    if len(members) > limits.max_members:
        raise refuse(f"its container has {len(members)} parts, the limit is {limits.max_members}")
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts:
            raise refuse("its container has a part whose name leads out of it")
        if member.flag_bits & 1:
            raise refuse("it is encrypted with a password", "Save a copy without the password")
    expanded = sum(member.file_size for member in members)
    if expanded > limits.max_expanded_bytes:
        raise refuse(
            f"it expands to {expanded / MIB:.0f} MiB, "
            f"the limit is {limits.max_expanded_bytes / MIB:.0f} MiB"
        )
    if expanded > min(_FREE_EXPANSION, limits.max_expanded_bytes) and (
        expanded > limits.max_expansion * size
    ):
        raise refuse(
            f"it expands {expanded / size:.0f}-fold, "
            f"the limit is {limits.max_expansion}-fold (a zip bomb?)"
        )


def _container_kind(archive: zipfile.ZipFile) -> str:
    """Which document a zip container holds, by the part that declares it."""
    for kind, part, sign in _ZIPPED:
        try:
            with archive.open(part) as file:
                declared = file.read(MIB)
        except KeyError:
            continue
        if sign in declared:
            return kind
    return "a zip archive"
