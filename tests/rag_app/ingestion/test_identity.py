"""Files of one name are documents of their own, and a file keeps its document."""

import hashlib
import unicodedata
from pathlib import Path

from data.discovery import Found, discover
from rag_app.ingestion.identity import UPLOAD, gone, identify, origin
from retrieval.index.records import DocumentRecord


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(path: Path, source: str, place: str | None = None) -> Found:
    return Found(path, source, origin(path) if place is None else place)


def stored(source: str, path: Path | str, text: str = "") -> DocumentRecord:
    place = path if isinstance(path, str) else origin(path)
    return DocumentRecord(source, live=hashlib.sha256(text.encode()).hexdigest(), origin=place)


def test_a_file_of_the_same_name_from_another_folder_is_another_document(tmp_path):
    first = write(tmp_path / "2024/invoice.txt", "410")
    second = write(tmp_path / "2025/invoice.txt", "655")
    records = [stored("invoice.txt", first, "410")]
    (known,) = identify([found(first, "invoice.txt")], records)
    (new,) = identify([found(second, "invoice.txt")], records)
    assert (known.source, new.source) == ("invoice.txt", "2025/invoice.txt")


def test_a_longer_name_that_is_taken_as_well_grows_further(tmp_path):
    third = write(tmp_path / "b/x/n.txt", "3")
    records = [stored("n.txt", tmp_path / "a/x/n.txt", "1"), stored("x/n.txt", "/c/x/n.txt", "2")]
    (new,) = identify([found(third, "n.txt")], records)
    assert new.source == "b/x/n.txt"


def test_a_moved_file_with_the_same_content_is_the_same_document(tmp_path):
    moved = write(tmp_path / "new/n.txt", "same")
    (known,) = identify([found(moved, "n.txt")], [stored("n.txt", tmp_path / "old/n.txt", "same")])
    assert known.source == "n.txt"


def test_a_copy_in_another_folder_is_a_document_of_its_own(tmp_path):
    first = write(tmp_path / "2024/terms.txt", "same")
    second = write(tmp_path / "2025/terms.txt", "same")
    (copy,) = identify([found(second, "terms.txt")], [stored("terms.txt", first, "same")])
    assert copy.source == "2025/terms.txt"


def test_an_upload_of_a_document_from_a_folder_leaves_it_in_its_folder(tmp_path):
    first = write(tmp_path / "in/terms.txt", "same")
    upload = write(tmp_path / "up/terms.txt", "same")
    records = [stored("terms.txt", first, "same")]
    (known,) = identify([found(upload, "terms.txt", f"{UPLOAD}1")], records)
    assert (known.source, known.origin) == ("terms.txt", origin(first))


def test_two_uploads_of_one_name_are_two_documents_unless_they_are_the_same(tmp_path):
    path = write(tmp_path / "notes.txt", "second")
    records = [stored("notes.txt", f"{UPLOAD}1", "first")]
    (other,) = identify([found(path, "notes.txt", f"{UPLOAD}2")], records)
    assert other.source == "notes (2).txt"
    path.write_text("first")
    (same,) = identify([found(path, "notes.txt", f"{UPLOAD}3")], records)
    assert same.source == "notes.txt"


def test_a_document_without_a_place_is_the_one_of_its_name(tmp_path):
    path = write(tmp_path / "n.txt", "new")
    (known,) = identify([found(path, "n.txt")], [stored("n.txt", "", "old")])
    assert known.source == "n.txt"


def test_only_documents_of_the_folder_whose_files_are_gone_are_gone(tmp_path):
    kept = write(tmp_path / "in/kept.txt", "k")
    records = [
        stored("kept.txt", kept),
        stored("lost.txt", tmp_path / "in/deep/lost.txt"),
        stored("elsewhere.txt", tmp_path / "other/elsewhere.txt"),
        stored("inside.txt", tmp_path / "inside/lost.txt"),
        stored("old.txt", ""),
        stored("upload.txt", f"{UPLOAD}1"),
    ]
    assert gone(records, [tmp_path / "in"]) == ["lost.txt"]


def test_names_compare_in_nfc(tmp_path):
    name = unicodedata.normalize("NFD", "Übersicht.txt")
    path = write(tmp_path / name, "x")
    (listed,) = discover([tmp_path]).files
    assert listed.source == unicodedata.normalize("NFC", name)
    assert gone([stored(listed.source, path)], [tmp_path]) == []


def test_links_are_listed_as_ignored(tmp_path):
    target = write(tmp_path / "far/a.txt", "x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.txt").symlink_to(target)
    (tmp_path / "in/folder").symlink_to(tmp_path / "far")
    discovery = discover([tmp_path / "in"])
    assert discovery.files == ()
    assert sorted(path.name for path in discovery.ignored) == ["folder", "link.txt"]


def test_addresses_of_one_name_are_documents_with_readable_names(tmp_path):
    path = write(tmp_path / "page.html", "page")
    name = "near.example/page.html"
    records = [stored(name, "http://near.example:8001/page", "page")]
    addresses = [
        "http://near.example:8002/page",
        "http://near.example:8002/page.html",
        "https://near.example/page",
        "https://away.example:8003/page",  # which led on
        "http://near.example:8001/page",
    ]
    known = identify([found(path, name, address) for address in addresses], records)
    assert [one.source for one in known] == [
        "near.example:8002/page.html",
        "near.example/page (2).html",
        "near.example/page (3).html",
        "near.example/page (4).html",
        name,
    ]


def test_a_document_of_an_address_is_never_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = stored("near.example/page.html", "http://near.example/page", "page")
    path = write(tmp_path / "near.example/page.html", "page")
    (new,) = identify([found(path, record.source)], [record])
    assert new.source.endswith("/near.example/page.html")
    assert gone([record], [tmp_path, Path("http:"), Path("/")]) == []
