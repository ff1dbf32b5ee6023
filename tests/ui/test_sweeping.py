"""What is left over is deleted while the application runs, again and again."""

import asyncio
import os
from pathlib import Path

import pytest

from ui import serving
from ui.uploads import Uploads

LONG_AGO = 0


@pytest.fixture
async def sweeping(tmp_path, monkeypatch):
    """The timer of a running application, with no time between its turns."""
    monkeypatch.setattr(serving, "_SWEEP", 0.0)
    task = asyncio.create_task(serving._sweeping(tmp_path, Uploads(tmp_path / "uploads", 100)))
    yield task
    task.cancel()


def old(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("left over")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


async def gone(*paths: Path) -> None:
    async with asyncio.timeout(30):
        while any(path.exists() for path in paths):  # noqa: ASYNC110 - threads delete them
            await asyncio.sleep(0.001)


async def test_old_uploads_and_scratch_files_go_on_a_timer(tmp_path, sweeping):
    young = tmp_path / "uploads" / "visitor-local" / ("b" * 32)
    for turn in range(2):
        upload = old(tmp_path / "uploads" / "visitor-local" / ("a" * 32))
        scratch = old(tmp_path / "collections" / f".scratch-{turn}")
        young.write_text("just sent")
        await gone(upload, scratch)
        assert young.exists()


async def test_a_sweep_that_fails_is_told_and_made_again(tmp_path, sweeping, monkeypatch, caplog):
    failures = iter([OSError("the disk is gone")])

    def sweep(storage: Path) -> None:
        for failure in failures:
            raise failure
        scratch.unlink(missing_ok=True)

    scratch = old(tmp_path / "left")
    monkeypatch.setattr(serving, "sweep_old", sweep)
    await gone(scratch)
    assert "the disk is gone" in caplog.text
