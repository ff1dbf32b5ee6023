"""A program that goes on with a storage folder whose disk fills up under it.

    python -m tests.adversity.full_disk DISK

It is one of its own because the kernel would end it (SIGBUS) if a write got through.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.probes.readiness import readiness
from rag_app.service import QueryOptions
from rag_app.settings import load_settings
from retrieval.index.errors import DiskFull
from tests.adversity.file_systems import fill
from tests.rag_app.building import install
from tests.rag_app.support import OVERLAP, TOKENS, prose, twin, write

WORDS = QueryOptions(retriever="bm25", top_k=1000)


async def _main(disk: Path) -> None:
    install({"near": twin("near"), "far": twin("far")}, setattr)
    settings = load_settings(
        overrides={
            "storage": {"path": disk / "storage", "min_free_mb": 64},
            "encoder": {"name": "near"},
            "chunking": {"tokens": TOKENS, "overlap": OVERLAP},
        }
    )
    first = write(disk / "first", {"a.txt": prose("a", 30), "b.txt": prose("b", 30)})
    second = write(disk / "second", {"c.txt": prose("c", 30)})
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [first])
    before = await _texts(application)

    fill(disk / "ballast")
    await _refused(application.ingest("c", [second]))
    await _refused(application.ingest("new", [second]))
    await _refused(application.delete_document("c", "a.txt"))
    await _refused(application.build_index("c", "far"))
    assert await _texts(application) == before
    report = await readiness(settings, application.verify, application.collections).report()
    assert report.ready
    assert "disk" in report.degraded
    await application.close()

    application, _ = assembly.open_application(settings)  # a start on a full disk
    assert await _texts(application) == before
    await _refused(application.ingest("c", [second]))
    (disk / "ballast").unlink()
    await application.ingest("c", [second])
    assert len(await _texts(application)) > len(before)
    assert await application.delete_document("c", "a.txt")
    await application.build_index("c", "far")
    await application.close()
    sys.stdout.write("alive\n")


async def _texts(application: Application) -> list[str]:
    found = await application.search("c", "harbour lantern willow granite signal", WORDS)
    return sorted(hit.text for hit in found.hits)


async def _refused(change: Any) -> None:
    try:
        await change
    except DiskFull as error:
        assert "storage.min_free_mb" in str(error)
        return
    raise AssertionError("a write to a full disk was let pass")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
