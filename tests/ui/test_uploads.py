from os import mkfifo, utime
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from rag_app.errors import ApplicationError
from ui.uploads import Uploads

VISITOR = "a" * 32


def multipart(*contents: bytes, end: bytes = b"--b--\r\n") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="../x"\r\n\r\n'
    return b"".join(head + content + b"\r\n" for content in contents) + end


def request(body: bytes, kind: str = "multipart/form-data; boundary=b") -> Request:
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)] or [b""]

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", most_bytes=100)


async def test_uploads_are_taken_under_their_owners_names(uploads: Uploads) -> None:
    ids = await uploads.receive(VISITOR, request(multipart(b"one", b"two", b"")))
    folder, files = uploads.take(VISITOR, ids, ["../notes.md", "notes.md"])
    assert [(path.name, path.read_bytes()) for path in files] == [
        ("notes.md", b"one"),
        ("notes.md", b"two"),
        ("document", b""),
    ]
    assert all(path.is_relative_to(folder) for path in files)
    with pytest.raises(ApplicationError, match="not here any longer"):
        uploads.take(VISITOR, ids, [])


async def test_the_folders_of_a_file_are_kept_and_lead_nowhere_else(uploads: Uploads) -> None:
    ids = await uploads.receive(VISITOR, request(multipart(*[b"x"] * 4)))
    names = ["office/sub/a.md", "../../../etc/a.md", "\\\\host\\share\\a.md", "f/" * 5000 + "a.md"]
    folder, files = uploads.take(VISITOR, ids, names)
    assert [str(path.relative_to(folder)) for path in files] == [
        "1/office/sub/a.md",
        "2/document/document/document/etc/a.md",
        "3/host/share/a.md",
        "4/" + "f/" * 8 + "a.md",
    ]
    assert all(path.resolve().is_relative_to(folder.resolve()) for path in files)


async def test_an_upload_belongs_to_its_visitor(uploads: Uploads) -> None:
    ids = await uploads.receive(VISITOR, request(multipart(b"one")))
    for other in ("b" * 32, "", "../" + VISITOR):
        with pytest.raises(ApplicationError, match="not here any longer"):
            uploads.take(other, ids, [])
    assert uploads.take(VISITOR, ids, [])


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_regular_files_are_taken(uploads: Uploads, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "uploads" / f"visitor-{VISITOR}" / ("0" * 32)
    place.parent.mkdir()
    target = tmp_path / "target"
    target.write_text("theirs")
    {
        "link": lambda: place.symlink_to(target),
        "folder": place.mkdir,
        "pipe": lambda: mkfifo(place),
    }[kind]()
    with pytest.raises(ApplicationError, match="not here any longer"):
        uploads.take(VISITOR, [place.name], [])
    assert target.read_text() == "theirs"


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (multipart(b"x" * 101), "multipart/form-data; boundary=b", "larger than 0 MB"),
        (multipart(b"one", end=b""), "multipart/form-data; boundary=b", "its end is missing"),
        (multipart(b"one"), "multipart/form-data; boundary=c", "cannot be read"),
        (multipart(b"one"), "multipart/form-data", "no multipart/form-data"),
        (b"one", "text/plain", "no multipart/form-data"),
        (b"", "multipart/form-data; boundary=b", "its end is missing"),
    ],
)
async def test_a_bad_upload_leaves_nothing_behind(
    uploads: Uploads, tmp_path: Path, body: bytes, kind: str, reason: str
) -> None:
    with pytest.raises(ApplicationError, match=reason):
        await uploads.receive(VISITOR, request(body, kind))
    assert list((tmp_path / "uploads").glob("*/*")) == []


async def test_what_was_read_long_ago_is_swept(uploads: Uploads, tmp_path: Path) -> None:
    ids = [(await uploads.receive(VISITOR, request(multipart(b"one"))))[0] for _ in range(2)]
    (old, _), (new, _) = (uploads.take(VISITOR, [one], []) for one in ids)
    utime(old, (0, 0))
    uploads.sweep()
    assert not old.exists()
    assert new.exists()


async def test_what_no_event_names_is_swept(uploads: Uploads, tmp_path: Path) -> None:
    old, new = [(await uploads.receive(VISITOR, request(multipart(b"one"))))[0] for _ in range(2)]
    utime(tmp_path / "uploads" / f"visitor-{VISITOR}" / old, (0, 0))
    await uploads.receive("c" * 32, request(multipart(b"two")))
    with pytest.raises(ApplicationError):
        uploads.take(VISITOR, [old], [])
    assert uploads.take(VISITOR, [new], [])
