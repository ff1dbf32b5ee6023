"""What a page may ingest by its name."""

from pathlib import Path

import pytest

from rag_app.assembly.application import open_application
from rag_app.errors import ApplicationError
from rag_app.settings import Settings, load_settings
from ui.sources import work_for


def settings(tmp_path: Path, **more: object) -> Settings:
    return load_settings(overrides={"storage": {"path": tmp_path / "storage"}, **more})


async def test_a_folder_is_ingested(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.md").write_text("The gate is open.")
    chosen = settings(tmp_path)
    application, _ = open_application(chosen)
    try:
        work = work_for(str(folder), application, chosen, "c")
        assert (await work(lambda _: None)).added == 1
        [found] = await application.documents("c")
        assert found.source == "a.md"
        refused = work_for("http://127.0.0.1:9/secret.md", application, chosen, "c")
        with pytest.raises(ApplicationError, match="private network"):
            await refused(lambda _: None)
    finally:
        await application.close()


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({}, {"mine", "theirs"}),
        ({"ingest": {"folders": ["{}/mine"]}}, {"mine"}),
        ({"server": {"host": "0.0.0.0", "password": "long enough"}}, set()),
        ({"server": {"password": "behind a proxy"}}, set()),
        (
            {"server": {"password": "behind a proxy"}, "ingest": {"folders": ["{}/theirs"]}},
            {"theirs"},
        ),
    ],
)  # fmt: skip
def test_only_folders_that_may_be_are_taken(
    tmp_path: Path, more: dict[str, dict[str, object]], allowed: set[str]
) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "theirs")
    if folders := more.get("ingest", {}).get("folders"):
        assert isinstance(folders, list)
        more = {**more, "ingest": {"folders": [one.format(tmp_path) for one in folders]}}
    chosen, found = settings(tmp_path, **more), set()
    for name in ("mine", "theirs"):
        try:
            work_for(str(tmp_path / name), None, chosen, "c")  # type: ignore[arg-type]
        except AttributeError:  # there is no service
            found.add(name)
        except ApplicationError:
            pass
    assert found == allowed
    if allowed == {"mine"}:
        with pytest.raises(ApplicationError, match="not among"):
            work_for(str(tmp_path / "mine" / "link"), None, chosen, "c")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["", "notes", "../notes", "ftp://example.org/x", "/nowhere/x"])
def test_what_is_no_source_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(ApplicationError):
        work_for(given, None, settings(tmp_path), "c")  # type: ignore[arg-type]
