"""`kill -9` at random instants of everything that changes a collection.

After each kill every document is there as it was before or as it is to be, whole and once, or not
there at all where it is new or being deleted; doing the same again completes it, and nothing is
left over. ADVERSITY_KILLS=500 makes so many kills in all, instead of one of each kind; a
kill that comes when the work is done does not count. The counts are printed.
"""

import asyncio
import math
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.collections.leftovers import leftovers
from rag_app.results import BackupReport
from rag_app.settings import Settings, load_settings
from retrieval.index.errors import UnknownCollection
from tests.rag_app.building import install
from tests.rag_app.support import OVERLAP, TOKENS, prose, twin, write

Texts = dict[str, list[str]]
Work = Callable[[Application, Path], Awaitable[object]]

IN_CI = 8
WHOLE = int(os.environ.get("ADVERSITY_KILLS", "0"))


async def _restore(application: Application, inputs: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        content = (inputs / "backup.tar").read_bytes()
        for first in range(0, len(content), 4096):
            yield content[first : first + 4096]

    await application.restore(pieces(), replace=True)


async def _back_up(application: Application, inputs: Path) -> None:
    with (inputs / "made.tar").open("wb") as file:
        async for piece in application.backup():
            if not isinstance(piece, BackupReport):
                file.write(piece)


WORKS: dict[str, Work] = {
    "ingest": lambda application, inputs: application.ingest("c", [inputs / "new"]),
    "update": lambda application, inputs: application.ingest("c", [inputs / "old"]),
    "delete": lambda application, _: application.delete_document("c", "b.txt"),
    "rebuild": lambda application, _: application.rebuild_collection("c"),
    "restore": _restore,
    "build": lambda application, _: application.build_index("c", "far"),
    "drop": lambda application, _: application.drop_collection("c"),
    "backup": _back_up,
}


def settings_of(storage: Path, tokens: int = TOKENS) -> Settings:
    return load_settings(
        overrides={
            "storage": {"path": storage},
            "encoder": {"name": "near"},
            "chunking": {"tokens": tokens, "overlap": OVERLAP},
        }
    )


def settings_for(name: str, storage: Path) -> Settings:
    return settings_of(storage, TOKENS + 8 if name == "rebuild" else TOKENS)


async def do(settings: Settings, work: Work, inputs: Path) -> None:
    application, _ = assembly.open_application(settings)
    try:
        await work(application, inputs)
    finally:
        await application.close()


async def look(settings: Settings, encoder: str = "near") -> Texts | None:
    """What searches see of the collection; None where there is none."""
    application, _ = assembly.open_application(settings)
    try:
        shown: Texts = {}
        async for batch in application.passages("c", encoder):
            for one in batch.passages:
                shown.setdefault(one.source, []).append(one.text)
        listed = await application.documents("c")
        if encoder == "near":
            assert {one.source for one in listed if one.passages} == shown.keys()
        return {source: sorted(texts) for source, texts in sorted(shown.items())}
    except UnknownCollection:
        return None
    finally:
        await application.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    texts = {f"{name}.txt": prose(name, 25) for name in "abd"}
    write(folder / "old", texts)
    write(folder / "new", {f"{name}.txt": prose(name, 25) for name in "efg"})
    with pytest.MonkeyPatch.context() as patch:
        install({"near": twin("near"), "far": twin("far")}, patch.setattr)
        asyncio.run(do(settings_of(folder / "other"), WORKS["ingest"], folder))
        asyncio.run(do(settings_of(folder / "other"), _back_up, folder))
        (folder / "made.tar").rename(folder / "backup.tar")
        asyncio.run(do(settings_of(folder / "base"), WORKS["update"], folder))
    write(folder / "old", {"a.txt": prose("a, changed", 30)})
    return folder


@pytest.fixture(autouse=True)
def _encoders(monkeypatch) -> None:
    install({"near": twin("near"), "far": twin("far")}, monkeypatch.setattr)


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-r", "--sparse=always", str(source), str(target)], check=True)


def killed(settings: Settings, work: Work, inputs: Path, wait: float) -> bool:
    """Do the work in a process of its own, and kill it after a while; whether it was at work."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            asyncio.run(do(settings, work, inputs))
        finally:
            os._exit(0)
    time.sleep(wait)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("name", sorted(WORKS))
def test_kills_lose_double_and_half_show_nothing(tmp_path, inputs, name):
    work, storage = WORKS[name], tmp_path / "storage"
    settings = settings_for(name, storage)
    old = asyncio.run(look(settings_of(inputs / "base")))
    copy(inputs / "base", storage)
    begun = time.monotonic()
    asyncio.run(do(settings, work, inputs))
    longest = time.monotonic() - begun
    new = asyncio.run(look(settings))
    draw, counts = random.Random(name), Counter[str]()  # noqa: S311
    wanted = math.ceil((WHOLE or IN_CI) / len(WORKS))
    while counts["at work"] < wanted:
        copy(inputs / "base", storage)
        hit = killed(settings, work, inputs, draw.uniform(0, longest))
        counts["at work" if hit else "too late"] += 1
        seen = asyncio.run(look_after_kill(name, storage, settings))
        require_old_or_new(seen, old, new)
        counts["old" if seen == old else "new" if seen == new else "between"] += 1
        try:
            asyncio.run(do(settings, work, inputs))
        except UnknownCollection:
            assert name == "drop"
        assert asyncio.run(look(settings)) == new
        if name == "build":
            assert asyncio.run(look(settings, "far")) == new
        places = assembly.collections(settings)
        assert leftovers(storage, places) == (0, [])
        if new is None:
            assert not list((storage / "files").iterdir())
    print(name, dict(counts))  # noqa: T201 - the figures of docs/security.md


async def look_after_kill(name: str, storage: Path, settings: Settings) -> Texts | None:
    """By the settings of the index that is there: a rebuild brings another."""
    if name != "rebuild":
        return await look(settings)
    application, _ = assembly.open_application(settings)
    usable = [one.usable for one in await application.collections()]
    await application.close()
    return await look(settings if usable == [True] else settings_of(storage))


def require_old_or_new(seen: Texts | None, old: Texts | None, new: Texts | None) -> None:
    if seen is None or old is None or new is None:
        assert seen in (old, new)
        return
    for source, texts in seen.items():
        assert texts in (old.get(source), new.get(source)), source
    for source in old.keys() & new.keys():
        assert source in seen, source
