"""Another language model for an application that runs: find servers, list models, test, take."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import orjson
from pydantic import SecretStr

from rag_app.errors import ApplicationError
from rag_app.ingestion.addresses import CheckedTransport, not_link_local, parts_of
from rag_app.probes.models import language_model, list_models
from rag_app.settings import LLMSettings, Settings, override
from rag_app.settings.connection import write_connection
from retrieval.replies import PLAIN, ReplyError, read

USUAL: Final = (("Ollama", 11434), ("LM Studio", 1234), ("llama.cpp", 8080), ("vLLM", 8000))
"""Where servers of models listen unless they are told otherwise."""
RELOADED: Final = ("recipe", "retrieval", "condense", "rewrite", "rerank", "reader", "llm")
"""Sections that questions go by alone: no index and no server is made with them."""
_LOOK: Final = 1.5
"""Seconds that a server of this machine has to answer."""
_PATIENCE: Final = 60.0
"""Seconds to the first words of a model that may have to be loaded."""
_LARGEST: Final = 1 << 20
_LONGEST: Final = 200
"""Characters of a model's name."""
_FRESH: Final = 30.0
"""Seconds for which the list of a server's models is not asked for again."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_HINT: Final = "Give one such as http://127.0.0.1:11434/v1"


@dataclass(frozen=True, slots=True)
class Found:
    """A server of models on this machine."""

    name: str
    address: str
    models: tuple[str, ...]


async def find_servers(ports: Sequence[tuple[str, int]] = USUAL) -> list[Found]:
    """The servers that answer on loopback by their usual ports; all are asked at once."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=_LOOK) as connections:  # noqa: S501 - plain HTTP
        asked = (_look(connections, name, port) for name, port in ports)
        return [found for found in await asyncio.gather(*asked) if found]


async def _look(connections: httpx.AsyncClient, name: str, port: int) -> Found | None:
    address = f"http://127.0.0.1:{port}/v1"
    try:
        async with asyncio.timeout(2 * _LOOK):
            async with connections.stream("GET", f"{address}/models", headers=PLAIN) as answer:
                listed = orjson.loads(await read(answer.raise_for_status(), _LARGEST))
        models = listed["data"] or ()  # Ollama without a model says null
        return Found(name, address, tuple(str(one["id"])[:_LONGEST] for one in models[:200]))
    except (httpx.HTTPError, ReplyError, ValueError, LookupError, TypeError, TimeoutError):
        return None  # nothing listens there, or something else


class ModelConnection:
    """The language model in force, and how another takes its place.

    Attributes:
        changed: whether another one was connected since the start.
        offered: the models that its server listed when it was asked last.
    """

    def __init__(self, settings: Settings, use: Callable[[Settings], None]) -> None:
        self._settings, self._use = settings, use
        self.changed = False
        self.offered: tuple[str, ...] = ()
        self._asked = -math.inf

    @property
    def settings(self) -> Settings:
        """All settings that questions go by now."""
        return self._settings

    @property
    def current(self) -> LLMSettings:
        """Where the model is that reads."""
        return self._settings.llm

    @property
    def reads(self) -> str:
        """Name of the model that reads; empty where answers are quoted."""
        return self._settings.llm.model if self._settings.reader.kind == "llm" else ""

    def reload(self, settings: Settings) -> list[str]:
        """Let questions go by other settings, as far as they may change in a running process.

        Returns the sections that differ and are not taken over.

        Raises:
            SettingsError: they cannot be used; nothing has changed.
        """
        reloaded = {name: getattr(settings, name) for name in RELOADED}
        same = self._settings.model_copy(update=reloaded)
        self._use(same)
        self._settings, self.offered, self._asked = same, (), -math.inf
        both = (
            (name, getattr(same, name), getattr(settings, name)) for name in Settings.model_fields
        )
        return [name for name, before, after in both if before != after]

    async def models(self, address: str, key: str) -> list[str]:
        """What a server lists.

        Raises:
            ApplicationError: the address is none that may be asked, or nothing is listed there.
        """
        chosen = await self._chosen(address, key, "")
        found = await _listed(chosen, patience=10)
        if not found:
            raise ApplicationError(
                f"no model is listed at {address[:200]}",
                hint="Check address and key; or type the name of a model and test it",
            )
        return list(found)

    async def refresh(self) -> None:
        """Bring `offered` up to date: what the server in use lists; nothing where it does not."""
        if not self.reads or time.monotonic() - self._asked < _FRESH:
            return
        self._asked = time.monotonic()
        self.offered = await _listed(self.current, patience=5)

    async def connect(self, address: str, key: str, model: str) -> str:
        """Test a model as questions are asked, keep the choice, and let it read from now on.

        An empty key leaves the one that is known, if the address stays the same. Returns what the
        test showed.

        Raises:
            RagAppError: it does not answer as it should; nothing has been changed.
        """
        if not model or len(model) > _LONGEST or _UNPRINTABLE.search(model):
            raise ApplicationError("no model is named", hint="List the models, and choose one")
        chosen = await self._chosen(address, key, model)
        async with httpx.AsyncClient(transport=_transport(), timeout=10) as connections:
            window = (await list_models(chosen, connections)).window
        if window:
            chosen = chosen.model_copy(update={"context_window": max(256, window)})
        reply = await language_model(chosen, _PATIENCE, transport=_transport())
        secret = chosen.api_key.get_secret_value()
        await asyncio.to_thread(
            write_connection,
            self._settings.storage.path,
            api_base=chosen.api_base,
            model=chosen.model,
            context_window=chosen.context_window,
            key="" if secret == "none" else secret,  # noqa: S105 - stands for no key
        )
        settings = self._settings.model_copy(update={"llm": chosen})
        self._settings = override(settings, {"reader": {"kind": "llm"}})
        self._use(self._settings)
        self.changed, self.offered, self._asked = True, (), -math.inf
        return reply

    async def _chosen(self, address: str, key: str, model: str) -> LLMSettings:
        address = address.strip().rstrip("/")
        parts = parts_of(address, hint=_HINT)
        if parts.query or parts.fragment:
            raise ApplicationError("an address of a server holds no query", hint=_HINT)
        known = self.current
        secret = SecretStr(key.strip() or "none")
        if not key.strip() and address == known.api_base.rstrip("/"):
            secret = known.api_key  # a key never goes to another address than its own
        place = {"api_base": address, "api_key": secret}
        return known.with_model(model).model_copy(update=place)


async def _listed(settings: LLMSettings, patience: float) -> tuple[str, ...]:
    """The models that a server lists, as far as they can be chosen from."""
    async with httpx.AsyncClient(transport=_transport(), timeout=patience) as connections:
        names = (await list_models(settings, connections)).names
    return tuple(name for name in names[:500] if len(name) <= _LONGEST)


def _transport() -> CheckedTransport:
    return CheckedTransport(not_link_local)
