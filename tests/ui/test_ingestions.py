"""Uploads are ingested for the browser that sent them, and for no other."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rag_app.assembly.application import open_application
from rag_app.results import IngestReport
from rag_app.service import Service
from rag_app.settings import load_settings
from ui.ingestions import Ingestion, Ingestions

ANNA, BO = "a" * 32, "b" * 32


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Service]:
    settings = load_settings(overrides={"storage": {"path": tmp_path / "storage"}})
    opened, _ = open_application(settings)
    yield opened
    await opened.close()


def uploaded(folder: Path, files: dict[str, str]) -> tuple[Path, list[Path]]:
    """Files as `ui.uploads.Uploads.take` leaves them."""
    for number, (name, text) in enumerate(files.items()):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / name).write_text(text)
    return folder, sorted(folder.glob("*/*"))


async def ended(one: Ingestion) -> Ingestion:
    while one.running:  # noqa: ASYNC110 - a page looks again and again as well
        await asyncio.sleep(0.01)
    return one


async def test_uploads_are_ingested_and_deleted(application: Service, tmp_path: Path) -> None:
    files = {"ferry.md": "The ferry leaves the north quay at seven.", "x.exe": "no document"}
    ingestions = Ingestions()
    folder, paths = uploaded(tmp_path / "taken", files)
    work = partial(application.ingest, "c", paths)
    one = await ended(ingestions.start(ANNA, "c", work, folder))
    assert one.report
    assert one.report.added == 1
    assert [failure.source for failure in one.report.failures] == ["x.exe"]
    found = await application.documents("c")
    assert [each.source for each in found if each.state == "ready"] == ["ferry.md"]
    assert not folder.exists()


async def test_an_ingestion_is_its_visitors_and_the_last_ones_are_remembered() -> None:
    async def work(_: object) -> IngestReport:
        return IngestReport()

    ingestions = Ingestions()
    begun = [ingestions.start(ANNA, "c", work) for _ in range(12)]
    assert (ingestions.of(ANNA), ingestions.of(BO)) == (begun, [])
    assert len({one.number for one in begun}) == 12
    for one in begun:
        await ended(one)
    assert ingestions.of(ANNA) == begun
    last = ingestions.start(ANNA, "c", work)
    assert ingestions.of(ANNA) == [*begun[-8:], last]
    await ended(last)


async def test_an_ingestion_that_is_stopped_keeps_whole_documents_alone(
    application: Service, tmp_path: Path
) -> None:
    texts = {f"{n:02d}.md": f"Line {n}. The lock is open.\n\n" * 3000 for n in range(20)}
    folder, paths = uploaded(tmp_path / "taken", texts)
    ingestions = Ingestions()
    one = ingestions.start(ANNA, "c", partial(application.ingest, "c", paths), folder)
    ingestions.stop(BO)
    ingestions.stop(ANNA)
    await ended(one)
    assert one.error.startswith("stopped after")
    assert not folder.exists()
    found = await application.documents("c")
    assert {each.state for each in found} <= {"ready", "interrupted"}
    assert len([each for each in found if each.state == "ready"]) < 20
