from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rag_app.assembly.application import open_application
from rag_app.ingestion.engine import IngestReport
from rag_app.settings import load_settings
from ui.uploads import safe_name, stage, take_in


@given(st.text() | st.sampled_from(["../../etc/passwd", "..", "a/..", "C:\\x\\y.pdf", "\x00", "."]))
def test_a_name_is_never_a_path(name: str) -> None:
    safe = safe_name(name)
    assert safe == Path(safe).name
    assert safe not in {"", ".", ".."}
    assert len(safe.encode()) <= 200
    assert not any(ord(character) < 32 for character in safe)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_ordinary_name_is_kept(stem: str) -> None:
    assert safe_name(f"{stem} (1).pdf") == f"{stem} (1).pdf"


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_name("ü" * 300 + ".pdf").endswith("ü.pdf")


def uploaded(folder: Path, name: str, text: str) -> Path:
    own = folder / name
    own.mkdir(parents=True)
    file = own / "blob"
    file.write_text(text)
    return file


def test_files_are_moved_under_their_owners_names(tmp_path: Path) -> None:
    files = [uploaded(tmp_path, "h1", "one"), uploaded(tmp_path, "h2", "two")]
    folder, staged = stage(files, ["../notes.md", "notes.md"])
    assert [(path.name, path.read_text()) for path in staged] == [
        ("notes.md", "one"),
        ("notes.md", "two"),
    ]
    assert all(path.is_relative_to(folder) for path in staged)
    assert not any(file.exists() for file in files)


def test_a_file_without_a_name_keeps_its_own(tmp_path: Path) -> None:
    _, staged = stage([uploaded(tmp_path, "h1", "one")], [])
    assert staged[0].name == "blob"


async def test_uploads_are_ingested_and_deleted(tmp_path: Path) -> None:
    settings = load_settings(overrides={"storage": {"path": tmp_path / "storage"}})
    application, _ = open_application(settings)
    uploads = tmp_path / "uploads"
    files = [
        uploaded(uploads, "h1", "The ferry leaves the north quay at seven."),
        uploaded(uploads, "h2", "nothing that can be read"),
    ]
    try:
        news = [one async for one in take_in(application, "c", files, ["ferry.md", "x.exe"])]
        report = news[-1]
        assert isinstance(report, IngestReport)
        assert report.added == 1
        assert [failure.source for failure in report.failures] == ["x.exe"]
        found = await application.documents("c")
        assert [one.source for one in found if one.state == "ready"] == ["ferry.md"]
        assert list(uploads.iterdir()) == []
    finally:
        await application.close()
