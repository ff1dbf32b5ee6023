"""What is refused before any loader sees it."""

import io
import zipfile

import pytest

from data.components import BY_ENDING, LOADERS
from data.errors import UnreadableFile
from data.limits import MIB, Limits
from data.loaders import load, sniff

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"


def container(declared: str = WORD, **members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml", f'<Types><Override ContentType="{declared}"/></Types>'
        )
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def refusal(tmp_path, name: str, content: bytes, limits: Limits | None = None) -> str:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        sniff(path, name, limits)
    assert name in str(caught.value)
    return str(caught.value)


def test_each_kind_has_a_loader_and_unknown_kinds_are_refused(tmp_path):
    assert sum(len(kind.endings) for kind in LOADERS.values()) == len(BY_ENDING), "one row each"
    assert all(callable(kind.load()) for kind in LOADERS.values())
    with pytest.raises(ValueError, match="kind must be one of"):
        load(tmp_path, "exe")


def test_real_files_are_what_they_say(shared_data):
    for path in (shared_data / "documents").iterdir():
        assert sniff(path) == BY_ENDING[path.suffix].name


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"%PDF-1.7\n%\xe2\xe3", r"content is a PDF file.*Rename it to \.pdf"),
        ("a.pdf", b"\x89PNG\r\n\x1a\n" + bytes(50), "content is a PNG image"),
        ("a.pdf", b"only words", "content is plain text"),
        ("a.md", b"\x7fELF" + bytes(99), "content is a program"),
        ("a.txt", b"a\0\0\0b", "content is binary data"),
        ("a.docx", container(SHEET), r"content is a XLSX file.*Rename it to \.xlsx"),
        ("a.docx", container("text/plain"), "content is a zip archive.*Unpack it"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "old binary kind"),
        ("a.docx", b"PK\x03\x04" + b"x" * 99, "container is damaged"),
        ("a.txt", b"\x1f\x8b\x08" + bytes(99), "gzip archive.*Unpack it"),
        ("a.txt", b"7z\xbc\xaf\x27\x1c", "7z archive"),
        ("a.txt", b"Rar!\x1a\x07\x01", "RAR archive"),
        ("a.txt", b"x" * 257 + b"ustar\x0000" + bytes(99), "tar archive"),
        ("a.zip", container(), r"type \.zip are not supported.*\.docx"),
        ("a", b"text", r"\(no extension\)"),
        ("a.txt", b"", "it is empty"),
        ("a.txt", b" \n\t\n", "it is empty"),
    ],
)
def test_what_is_mislabelled_or_foreign_is_refused(tmp_path, name, content, reason):
    import re

    assert re.search(reason, refusal(tmp_path, name, content))


def test_an_extension_counts_in_any_case(tmp_path):
    (tmp_path / "a").write_text("text")
    assert sniff(tmp_path / "a", "LETTER.TXT") == "text"


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path):
    bomb = container(**{"word/document.xml": bytes(64 * MIB)})
    assert len(bomb) < MIB
    assert "zip bomb" in refusal(tmp_path, "a.docx", bomb)


def test_a_small_container_may_compress_well(tmp_path):
    (tmp_path / "a.docx").write_bytes(container(**{"word/document.xml": bytes(8 * MIB)}))
    assert sniff(tmp_path / "a.docx") == "docx"


def test_containers_are_bound_in_size_and_number_of_parts(tmp_path):
    content = container(**{f"m{number}": b"x" * 1000 for number in range(20)})
    assert "21 parts" in refusal(tmp_path, "a.docx", content, Limits(max_members=20))
    assert "expands to" in refusal(tmp_path, "a.docx", content, Limits(max_expanded_bytes=10_000))


@pytest.mark.parametrize("member", ["../evil", "/etc/evil", "a/../../evil", "..\\evil"])
def test_names_that_lead_out_of_the_container_are_refused(tmp_path, member):
    assert "leads out" in refusal(tmp_path, "a.docx", container(**{member: b"x"}))


def test_encrypted_parts_are_refused(tmp_path):
    content = bytearray(container())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    assert "encrypted" in refusal(tmp_path, "a.docx", bytes(content))


def test_files_are_bound_in_size_and_streams_may_be_larger(tmp_path):
    limits = Limits(max_file_bytes=MIB, max_stream_bytes=4 * MIB)
    content = b"x" * (2 * MIB)
    assert "2 MiB, the limit is 1 MiB" in refusal(tmp_path, "a.txt", content, limits)
    assert sniff(tmp_path / "upload", "a.jsonl", limits) == "jsonl"
