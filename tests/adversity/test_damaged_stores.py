"""Stores with damaged files: each says why, all others answer, and a repair brings them back.

ADVERSITY_STORES=40 damages so many, instead of a few; what was done to each is printed.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.probes import stores
from rag_app.probes.base import Problem
from rag_app.probes.readiness import readiness
from rag_app.service import QueryOptions
from retrieval.index.errors import DamagedIndex
from tests.rag_app.support import prose, write

COUNT = int(os.environ.get("ADVERSITY_STORES", "6"))
WORDS = QueryOptions(retriever="bm25", top_k=1000)

Spoil = Callable[[Path, random.Random], None]


def _cut(file: Path, draw: random.Random) -> None:
    os.truncate(file, draw.randrange(min(100, file.stat().st_size)))


def _blank(file: Path, _: random.Random) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _noise(file: Path, draw: random.Random) -> None:
    file.write_bytes(draw.randbytes(file.stat().st_size))


def _lose(file: Path, _: random.Random) -> None:
    file.unlink()


def _folder(file: Path, _: random.Random) -> None:
    file.unlink()
    file.mkdir()


SPOILS: dict[str, Spoil] = {
    "cut": _cut,
    "blank": _blank,
    "noise": _noise,
    "lost": _lose,
    "folder": _folder,
}
PLACES = {
    "edge_config.json": ("cut", "blank", "noise", "folder"),
    "segments/*/segment.json": tuple(SPOILS),
    "segments/*/mutable_id_tracker.mappings": ("blank", "noise", "lost", "folder"),
    "segments/*/mutable_id_tracker.versions": ("cut", "lost", "folder"),
    "segments/*/payload_storage/page_0.dat": tuple(SPOILS),
    "segments/*/payload_storage/config.json": tuple(SPOILS),
    "segments/*/payload_storage/tracker.dat": ("lost", "folder"),
    "segments/*/vector_storage-bm25/store/config.json": tuple(SPOILS),
    "segments/*/vector_storage-bm25/store/page_0.dat": ("blank", "lost", "folder"),
    "segments/*/vector_storage-dense/vectors/status.dat": ("blank", "lost", "folder"),
    "segments/*/version.info": ("lost", "folder"),
    "segments/*/payload_index/config.json": ("cut", "blank", "noise", "folder"),
}
"""Files of an index without which it cannot be used, and how each is spoilt."""


def spoil(collection: Path, number: int, draw: random.Random) -> str:
    """Damage one file; returns what was done."""
    place = sorted(PLACES)[number % len(PLACES)]
    kind = draw.choice(PLACES[place])
    (file,) = collection.glob(f"*/{place}")
    SPOILS[kind](file, draw)
    return f"{place}: {kind}"


async def test_each_damaged_store_says_why_and_all_others_answer(settings, encoder, tmp_path):
    folder = write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": prose("b")})
    application, _ = assembly.open_application(settings)
    await application.ingest("first", [folder])
    before = await texts(application, "first")
    await application.close()
    storage = settings.storage.path
    hurt = {f"hurt{i}": "" for i in range(COUNT)}
    draw = random.Random(1)  # noqa: S311
    for number, name in enumerate(hurt):
        for room in ("collections", "files"):
            shutil.copytree(storage / room / "first", storage / room / name)
        shutil.copy(storage / "files" / "first.jsonl", storage / f"files/{name}.jsonl")
        hurt[name] = spoil(storage / "collections" / name, number, draw)

    application, _ = assembly.open_application(settings)
    try:
        await application.ingest("second", [folder])
        listed = {one.name: one for one in await application.collections()}
        for name, done in hurt.items():
            assert f"rag-app collections repair {name}" in listed[name].damage, done
            with pytest.raises(DamagedIndex):
                await application.search(name, "harbour", WORDS)
        for name in ("first", "second"):
            assert not listed[name].damage
            assert await texts(application, name) == before
        ready = readiness(settings, application.verify, application.collections, 60)
        report = await ready.report()
        assert (report.ready, report.degraded) == (True, ["collections"])
        assert f"{COUNT} of {COUNT + 2} collections" in report.probes[-1].detail
        for name, done in hurt.items():
            await application.repair_collection(name)
            assert await texts(application, name) == before, done
        assert not any(one.damage for one in await application.collections())
    finally:
        await application.close()
    print(*(f"{name}: {done}" for name, done in hurt.items()), sep="\n")  # noqa: T201


async def test_doctor_counts_damaged_collections(settings, encoder, tmp_path):
    application, _ = assembly.open_application(settings)
    for name in ("hurt", "whole"):
        await application.ingest(name, [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.close()
    (file,) = (settings.storage.path / "collections" / "hurt").glob("*/segments/*/segment.json")
    file.write_bytes(b"")
    with pytest.raises(Problem, match=r"1 of 2 collections are damaged \(hurt\)"):
        await stores.indexes(settings)


async def test_what_else_lies_among_the_collections_hurts_none(settings, encoder, tmp_path):
    application, _ = assembly.open_application(settings)
    await application.ingest("whole", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.close()
    place = settings.storage.path / "collections"
    (place / "a name").mkdir()
    (place / "a name" / "active").write_text("x")
    (place / "-" / "active").mkdir(parents=True)
    (place / "empty").mkdir()
    (place / "noted").mkdir()
    (place / "noted" / "active").mkdir()
    (place / "file").write_text("x")
    (place / "loop").symlink_to(place)
    application, _ = assembly.open_application(settings)
    whole = [one.name for one in await application.collections() if not one.damage]
    assert whole == ["whole"]
    assert await texts(application, "whole")
    await application.close()


async def test_a_collection_that_was_emptied_is_not_damaged(settings, encoder, tmp_path):
    application, _ = assembly.open_application(settings)
    folder = write(tmp_path / "in", {f"{name}.txt": prose(name) for name in "abc"})
    await application.ingest("c", [folder])
    await application.delete_document("c", "a.txt")
    for file in folder.iterdir():
        file.unlink()
    await application.ingest("c", [folder], sync=True)
    await application.close()
    application, _ = assembly.open_application(settings)
    assert [(one.documents, one.damage) for one in await application.collections()] == [(0, "")]
    await application.close()


async def texts(application: Application, name: str) -> list[str]:
    found = await application.search(name, "harbour lantern willow granite signal", WORDS)
    return sorted(hit.text for hit in found.hits)
