"""Probes: every part of the application tried with a real call."""

import asyncio
import shutil
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx

from rag_app import assembly
from rag_app.errors import EXPECTED
from rag_app.ownership import HeldByAnother, Ownership
from rag_app.settings import Settings

_ENOUGH_DISK = 1 << 30


@dataclass(frozen=True, slots=True)
class Probe:
    """What one part answered.

    Attributes:
        role: which part.
        ok: whether it works.
        detail: what was found: address, version, size; or why it fails.
        ms: milliseconds that the call took.
        way_out: what to do when it fails.
    """

    role: str
    ok: bool
    detail: str
    ms: float
    way_out: str = ""


class _Problem(Exception):
    def __init__(self, detail: str, way_out: str) -> None:
        super().__init__(detail)
        self.way_out = way_out


Check = Callable[[Settings], Coroutine[Any, Any, str]]


async def examine(settings: Settings) -> list[Probe]:
    """Try every part that these settings use, one after the other."""
    checks: dict[str, Check] = {
        "storage": _storage,
        "encoder": _encoder,
        "index": _index,
        "reader": _llm if settings.reader.kind == "llm" else _quote,
        "port": _port,
    }
    return [await _probe(role, check, settings) for role, check in checks.items()]


async def _probe(role: str, check: Check, settings: Settings) -> Probe:
    start = time.perf_counter()
    try:
        detail, ok, way_out = await check(settings), True, ""
    except _Problem as problem:
        detail, ok, way_out = str(problem), False, problem.way_out
    except EXPECTED as error:
        reason = f"{error.message}: {error.cause}" if error.cause else error.message
        detail, ok, way_out = reason, False, error.way_out
    return Probe(role, ok, detail, (time.perf_counter() - start) * 1000, way_out)


async def _storage(settings: Settings) -> str:
    folder = settings.storage.path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / ".doctor"
        scratch.write_bytes(b"x")
        scratch.unlink()
    except OSError as error:
        raise _Problem(
            f"{folder} cannot be written: {error.strerror}", "Set RAG_APP_STORAGE__PATH"
        ) from error
    free = shutil.disk_usage(folder).free
    if free < _ENOUGH_DISK:
        raise _Problem(f"{folder} has {free / 1e6:.0f} MB left", "Free some disk space")
    return f"{folder} is writable, {free / 1e9:.0f} GB free"


async def _encoder(settings: Settings) -> str:
    encoder = assembly.encoder(settings)
    try:
        found = await asyncio.to_thread(encoder.verify)
    finally:
        encoder.close()
    return f"{found}; licence {encoder.row.licence}"


async def _index(settings: Settings) -> str:
    service = assembly.open_service(settings)
    try:
        found = await service.collections()
    finally:
        await service.close()
    stale = [collection.name for collection in found if not collection.usable]
    if stale:
        raise _Problem(
            f"{', '.join(stale)} built with other settings",
            f"`rag-app collections rebuild {stale[0]}`",
        )
    chunks = sum(collection.chunks for collection in found)
    where = settings.storage.url if settings.storage.engine == "server" else "embedded"
    return f"Qdrant {where}: {len(found)} collections, {chunks} chunks"


async def _quote(settings: Settings) -> str:
    return f"quotes {settings.reader.sentences} sentences; no language model is connected"


async def _llm(settings: Settings) -> str:
    from generation.reading import Reading

    model = settings.llm.model
    async with httpx.AsyncClient(trust_env=False) as connections:
        reader = assembly.llm_reader(settings.llm, assembly.llm(settings.llm, connections))
        async for event in reader.read("Answer with one word: ready?", []):
            if isinstance(event, Reading):
                model = event.model
    return f"{model} at {settings.llm.api_base}"


async def _port(settings: Settings) -> str:
    server = settings.server
    try:
        Ownership(settings.storage.path).release()
    except HeldByAnother as held:
        if held.owner and held.owner.address:
            return f"the application is running at {held.owner.address}"
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((server.host, server.port))
        except OSError as error:
            raise _Problem(
                f"{server.host}:{server.port} cannot be used: {error.strerror}",
                "Use another --port, or stop what listens there",
            ) from error
    return f"{server.host}:{server.port} is free"
