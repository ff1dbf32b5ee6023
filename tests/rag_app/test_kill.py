"""Real processes, really killed: `kill -9` spares nothing that tidies up."""

import json
import os
import random
import time
from pathlib import Path

import pytest

from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.settings import load_settings
from retrieval.index.base import PassageStore
from retrieval.index.fingerprint import IndexSpec
from tests.rag_app.command import Command, environment, rag_app
from tests.rag_app.support import prose, settled, stored, visible, write

pytestmark = pytest.mark.slow

PASSAGES = 300
FRESH, CHAIN = 3, 5
"""Kills on a folder of their own each, and again and again on one folder."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    lines = [json.dumps({"_id": f"p{n}", "text": prose(n, 1)}) for n in range(PASSAGES)]
    files = {"corpus.jsonl": "\n".join(lines), "changing.txt": prose("version 0", 60)}
    files |= {f"{name}.md": f"# {name}\n\n{prose(name, 20)}" for name in "abc"}
    return write(tmp_path_factory.mktemp("in"), files)


def look(storage: Path, after_kill: bool = False) -> dict[str, list[str]]:
    """What searches see of the collection; records must agree with it, and after a whole run
    nothing else may be stored.
    """
    settings = load_settings(overrides={"storage": {"path": storage}})
    collections = assembly.collections(settings)
    if "default" not in collections.names():
        return {}
    store = _open(settings)
    try:
        shown = visible(store)
        for record in store.records():
            assert len(shown.get(record.source, [])) == record.passages
        if not after_kill:
            assert settled(store)
            assert stored(store) == sum(len(texts) for texts in shown.values())
        return shown
    finally:
        store.close()


def _open(settings) -> PassageStore:
    encoder = components.encoder(settings)
    spec = IndexSpec(
        encoder.dimension,
        encoder.identity,
        components.splitter(settings).identity,
        components.bm25(settings),
    )
    return assembly.collections(settings).open("default", spec)


def clean(folder: Path, storage: Path, models: Path | None = None) -> dict[str, list[str]]:
    """An ingestion that nobody disturbs."""
    share(models, storage)
    done = rag_app("ingest", folder, "--json", storage=storage)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["documents"]["failed"] == 0
    return look(storage)


def share(models: Path | None, storage: Path) -> None:
    """The encoder's graph, which need not be built for every folder."""
    if models is not None and not (storage / "models").exists():
        storage.mkdir(parents=True, exist_ok=True)
        (storage / "models").symlink_to(models, target_is_directory=True)


def killed(folder: Path, storage: Path, wait: float, models: Path) -> bool:
    """Ingest, and kill `wait` seconds after the folder is owned; whether there was time to."""
    share(models, storage)
    said = storage.parent / f"{storage.name}.said"
    process = Command(["ingest", str(folder)], environment(storage), Path(os.devnull), said)
    while not (storage / "owner.json").exists() and process.poll() is None:
        time.sleep(0.005)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    alive = process.poll() is None
    process.kill()
    process.wait()
    assert "Traceback" not in said.read_text("utf-8")
    return alive


def searches(storage: Path, folder: Path) -> None:
    """A passage of the corpus is found by its own words."""
    wanted = json.loads((folder / "corpus.jsonl").read_text().splitlines()[7])
    done = rag_app("search", wanted["text"], "--top-k", "1", "--json", storage=storage)
    (hit,) = json.loads(done.stdout)["hits"]
    assert hit["record_id"] == wanted["_id"]


def test_a_run_after_kills_at_any_instant_has_exactly_the_full_set(tmp_path, folder):
    draw = random.Random(20)  # noqa: S311
    expected = clean(folder, tmp_path / "clean")
    assert sum(len(texts) for texts in expected.values()) > PASSAGES
    models = (tmp_path / "clean" / "models").resolve()
    hits, longest = 0, 1.6
    for number in range(3 * FRESH):
        storage = tmp_path / f"fresh{number}"
        if killed(folder, storage, draw.uniform(0.05, longest), models):
            hits += 1
        else:
            longest /= 2  # this machine is faster
        seen = look(storage, after_kill=True)
        assert all(texts == expected[source] for source, texts in seen.items())
        assert clean(folder, storage) == expected
        if hits == FRESH:
            break
    assert hits == FRESH, "the kills must come while there is work"
    versions = [expected["changing.txt"]]
    try:
        for number in range(1, CHAIN + 1):
            write(folder, {"changing.txt": prose(f"version {number}", 60)})
            killed(folder, storage, draw.uniform(0.05, 0.9), models)
            seen = look(storage, after_kill=True)
            shown = seen.pop("changing.txt")
            assert seen == {k: v for k, v in expected.items() if k != "changing.txt"}
            if shown not in versions:
                versions.append(shown)
                assert shown[0].startswith(f"Version {number} ")
                assert shown[-1] == prose(f"version {number}", 60)[-len(shown[-1]) :]
        final = clean(folder, storage)
        others = {source: texts for source, texts in expected.items() if source != "changing.txt"}
        assert final == {**others, "changing.txt": final["changing.txt"]}
        assert final["changing.txt"][0].startswith(f"Version {CHAIN} ")
        assert list((storage / "files" / "default").glob("*.part")) == []
        assert len(list((storage / "files" / "default").iterdir())) == len(final)
    finally:
        write(folder, {"changing.txt": prose("version 0", 60)})
    searches(storage, folder)
