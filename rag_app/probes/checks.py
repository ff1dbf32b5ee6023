"""How each part is tried: what `rag-app doctor` and `/readyz` have in common."""

from collections.abc import Coroutine, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from data.components import BY_ENDING, LOADERS
from data.limits import MIB
from rag_app.assembly import application as assembly
from rag_app.assembly import clients
from rag_app.assembly.encoders import choose
from rag_app.collections.ownership import Owner
from rag_app.errors import SettingsError
from rag_app.probes import machine, models, stores
from rag_app.probes.base import Check, in_thread, shown
from rag_app.settings import LLMSettings, Settings, StageLLM

WEIGHTS: Final = 120.0
"""Seconds in which weights can be loaded into this process: no server hangs there."""


def load(settings: Settings) -> None:
    """Import what the checks will use: within a call it would be taken for the server's time."""
    asks_models = any(model_checks(settings, 1))
    needed = {
        "retrieval.index.server": settings.storage.engine == "server",
        "retrieval.encoders.remote.served": bool(encoder_check(settings, 1).address),
        "rag_app.llm.client": asks_models,
        "openai.resources": asks_models,  # which openai itself imports at the first call
        "httpcore": asks_models,  # and httpx this
    }
    for module in (name for name, used in needed.items() if used):
        with suppress(ImportError):  # whoever uses it says what to install
            import_module(module)


def storage_check(settings: Settings, seconds: float) -> Check:
    """The storage folder."""
    work = partial(machine.storage, settings.storage.path)
    return Check("storage", partial(in_thread, work), seconds=seconds)


def disk_check(settings: Settings, seconds: float) -> Check:
    """Room for what is ingested; without it, questions are answered all the same."""
    reserve = settings.storage.min_free_mb * MIB
    embedded = settings.storage.engine == "embedded"
    held = assembly.collections(settings) if embedded else None
    work = partial(machine.disk, settings.storage.path, reserve, held)
    return Check("disk", partial(in_thread, work), seconds=seconds)


def files_check(seconds: float) -> Check:
    """Which kinds of files are read."""

    async def run() -> str:
        lacking = [row for row in LOADERS.values() if row.needs and not find_spec("rapidocr")]
        without = "".join(f"; not {row.name}, which need {row.needs}" for row in lacking)
        return f"{len(LOADERS)} kinds of files by {len(BY_ENDING)} endings{without}"

    return Check("files", run, seconds=seconds)


def qdrant_check(settings: Settings, seconds: float, owner: Owner | None = None) -> Check:
    """The vector store; of an embedded one, `owner` is the other process that owns it."""
    where, work = "", partial(stores.embedded, settings.storage, owner)
    if settings.storage.engine == "server":
        where = shown(settings.storage.url)
        work = partial(stores.server, settings.storage, seconds)
    return Check("qdrant", partial(in_thread, work), where, seconds)


def encoder_check(settings: Settings, seconds: float) -> Check:
    """The encoder; one of this process may take longer, as it is loaded first."""
    try:
        where = choose(settings).url
    except SettingsError:  # the probe says why
        where = ""
    work = partial(models.encoder, settings, seconds)
    patience = seconds if where else max(WEIGHTS, seconds)
    return Check("encoder", partial(in_thread, work), shown(where), patience)


def model_checks(settings: Settings, seconds: float) -> Iterator[Check]:
    """The stages that ask language models, in their order; those that are off are left out."""
    for role, stage in (("condenser", settings.condense), ("rewriter", settings.rewrite)):
        if stage.kind in ("llm", "decompose"):  # what is automatic asks the reader's model, or none
            yield _asking(role, clients.llm_of(settings, stage.llm), seconds)
    if settings.rerank.kind != "none":
        work = partial(models.reranker, settings, seconds)
        patience = max(WEIGHTS, seconds) if settings.rerank.model else seconds
        yield Check("reranker", work, shown(models.reranker_address(settings)), patience)
    if settings.reader.kind == "llm":
        yield _asking("reader", clients.llm_of(settings, StageLLM()), seconds)


def quoting_check(settings: Settings) -> Iterator[Check]:
    """The reader that needs nothing, where it is the one."""
    if settings.reader.kind == "quote":
        yield Check("reader", partial(_quotes, settings))


def unused(settings: Settings) -> list[str]:
    """Parts that the settings leave out."""
    kinds = {
        "condenser": settings.condense.kind,
        "rewriter": settings.rewrite.kind,
        "reranker": settings.rerank.kind,
        "ray": settings.ingest.engine,
    }
    return [role for role, kind in kinds.items() if kind in ("none", "local")]


def _asking(role: str, chosen: LLMSettings, seconds: float) -> Check:
    def run() -> Coroutine[Any, Any, str]:
        return models.language_model(chosen, seconds)

    return Check(role, run, shown(chosen.api_base), seconds)


async def _quotes(settings: Settings) -> str:
    model = settings.llm.model
    who = f"{model} is not asked to read" if model else "no language model is connected"
    return f"quotes {settings.reader.sentences} sentences; {who}"
