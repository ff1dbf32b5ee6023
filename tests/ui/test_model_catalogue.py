"""The catalogue of models: what is here of them, indexes that are built, and downloads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import huggingface_hub.constants as hub_constants
import pytest

from rag_app.application import Application
from rag_app.assembly.application import open_application
from rag_app.assembly.availability import NOT_DOWNLOADED
from rag_app.errors import ApplicationError
from rag_app.settings import Settings, load_settings
from retrieval.encoders.registry import built_in
from tests.hub_server import hub
from ui.model_catalogue import Item, Job, ModelCatalogue
from ui.model_catalogue_rendering import model_catalogue as shown

HOSTILE = "<img src=x>"
RERANKER = "ettin-reranker-17m"
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": bytes(3_000_000),
    "pickled.bin": b"never",
}
ROW = built_in()["minilm"].model_dump(exclude={"name", "bright", "bright_source"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a second encoder that needs no download: the bundled one, over shorter passages."""
    return load_settings(
        overrides={
            "storage": {"path": tmp_path / "storage"},
            "encoders": {"short": {"row": ROW, "passage_length": 64}},
        }
    )


@pytest.fixture
async def service(tmp_path: Path, settings: Settings) -> AsyncIterator[Application]:
    application, _ = open_application(settings)
    (tmp_path / "a.md").write_text("The ferry leaves at seven.")
    await application.ingest("c", [tmp_path / "a.md"])
    yield application
    await application.close()


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub of this machine, and an empty cache."""
    with hub({"cross-encoder/ettin-reranker-17m-v1": FILES}) as address:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hub_constants, "ENDPOINT", address)
        monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
        yield address


def of(items: list[Item], name: str) -> Item:
    return next(one for one in items if one.name == name)


async def ended(catalogue: ModelCatalogue) -> None:
    await asyncio.wait(catalogue._tasks, timeout=60)
    assert not catalogue.running


async def test_an_index_of_another_encoder_is_built(service, settings):
    catalogue = ModelCatalogue(service, lambda: settings)

    async def encoder(name: str) -> Item:
        return of(catalogue.encoders("c", await service.indexes("c")), name)

    assert (await encoder("minilm")).state == "indexed: 1 passages"
    assert (await encoder("short")).act == "build"
    big = await encoder("reasonir-8b")
    assert "licence" in big.state
    assert big.act == ""
    assert (big.score, big.source) == (24.4, built_in()["reasonir-8b"].bright_source)
    catalogue.start("build", "short", "c")
    with pytest.raises(ApplicationError, match="already"):
        catalogue.start("build", "short", "c")
    await ended(catalogue)
    assert (await encoder("short")).state == "indexed: 1 passages"
    assert (await encoder("short")).job is None


async def test_what_is_cancelled_says_so_and_can_be_taken_up(service, settings):
    catalogue = ModelCatalogue(service, lambda: settings)
    catalogue.start("build", "short", "c")
    catalogue.stop("short", "c")
    await ended(catalogue)
    item = of(catalogue.encoders("c", await service.indexes("c")), "short")
    assert item.job
    assert item.job.error.startswith("stopped")
    catalogue.start("build", "short", "c")
    await ended(catalogue)
    assert of(catalogue.encoders("c", await service.indexes("c")), "short").job is None


async def test_a_reranker_is_downloaded_after_a_click(service, settings, loopback, tmp_path):
    catalogue = ModelCatalogue(service, lambda: settings)
    before = of(catalogue.rerankers(), RERANKER)
    assert (before.state, before.act) == (NOT_DOWNLOADED, "download")
    assert not (tmp_path / "hub").exists()
    catalogue.start("download", RERANKER, "c")
    await ended(catalogue)
    assert of(catalogue.rerankers(), RERANKER).state.startswith("downloaded")
    got = {path.name for path in (tmp_path / "hub").rglob("snapshots/*/*")}
    assert got == FILES.keys() - {"pickled.bin"}


async def test_a_download_that_fails_or_is_cancelled_says_why(service, settings, loopback):
    catalogue = ModelCatalogue(service, lambda: settings)
    catalogue.start("download", "bge-reranker-v2-m3", "c")
    catalogue.start("download", RERANKER, "c")
    catalogue.stop(RERANKER, "c")
    await ended(catalogue)
    failed, stopped = (of(catalogue.rerankers(), name) for name in ("bge-reranker-v2-m3", RERANKER))
    assert failed.job
    assert "cannot be downloaded" in failed.job.error
    assert stopped.job
    assert stopped.job.error.startswith("stopped")
    assert stopped.act == "download"


@pytest.mark.parametrize(
    ("act", "name"),
    [("download", "minilm"), ("download", "../x"), ("build", "reasonir-8b"), ("build", "nobody")],
)
async def test_what_is_not_offered_is_refused(service, settings, act, name):
    with pytest.raises(ApplicationError):
        ModelCatalogue(service, lambda: settings).start(act, name, "c")


def test_the_tables_show_what_is_known_and_what_can_be_done():
    job = Job()
    job.on_bytes(1_500_000, 3_000_000)
    failed = Job(error=HOSTILE, running=False)
    items = [
        Item("a", HOSTILE, 8.03e9, HOSTILE, 24.4, HOSTILE, HOSTILE, "build", failed),
        Item("b", parameters=3.9e6, state=NOT_DOWNLOADED, act="download"),
        Item("c", state=NOT_DOWNLOADED, act="download", job=job),
    ]
    html = shown(items, [], HOSTILE)
    assert HOSTILE not in html
    assert "8.0 B" in html
    assert "4 M" in html
    assert ">24.4</span>" in html
    assert 'data-act="build" data-name="a"' in html
    assert "1.5 of 3.0 MB" in html
    assert "width:50%" in html
    assert 'data-act="stop" data-name="c"' in html
    assert html.count('data-act="download"') == 1
