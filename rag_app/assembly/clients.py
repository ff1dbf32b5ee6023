"""Clients of language-model servers, over one pool of connections."""

import httpx
from llama_index.core.llms import LLM

from data.recent import Recent
from rag_app.errors import SettingsError
from rag_app.llm.capabilities import Capabilities
from rag_app.settings import LLMSettings, Settings, StageLLM

_MOST_KEPT = 64
"""Clients that are kept: questions may name any number of models."""


def llm_of(settings: Settings, stage: StageLLM) -> LLMSettings:
    """The settings of a stage's language model."""
    return settings.llm.model_copy(update=stage.model_dump(exclude_none=True))


def llm(
    settings: LLMSettings,
    connections: httpx.AsyncClient,
    *,
    chat: bool = True,
    retries: int = 2,
    capabilities: Capabilities | None = None,
) -> LLM:
    """The one client of an OpenAI-compatible server.

    Args:
        chat: whether it is spoken to in turns; else prompts are sent as they are.
        capabilities: what is known of servers, and where what it learns of this one goes.

    Raises:
        SettingsError: no model is named.
    """
    if not settings.model:
        raise SettingsError(
            "no language model is connected",
            cause="llm.model is empty",
            hint="Set RAG_APP_LLM__API_BASE and RAG_APP_LLM__MODEL, or choose reader `quote`",
        )
    from rag_app.llm.client import MeteredLLM

    return MeteredLLM(
        connections=connections,
        model=settings.model,
        api_base=settings.api_base,
        api_key=settings.api_key.get_secret_value(),
        context_window=settings.context_window,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        timeout=settings.timeout,
        max_retries=retries,
        concurrency=settings.concurrency,
        capabilities=capabilities,
        is_chat_model=chat,
    )


class Clients:
    """Stages that ask the same model in the same way share a client, and its limit."""

    def __init__(self) -> None:
        self._connections: httpx.AsyncClient | None = None
        self._capabilities = Capabilities()
        self._made: Recent[tuple[LLMSettings, bool], LLM] = Recent(_MOST_KEPT)

    def connections(self) -> httpx.AsyncClient:
        """The pool, made when it is first needed."""
        if self._connections is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            self._connections = httpx.AsyncClient(trust_env=False, limits=limits)
        return self._connections

    def get(self, settings: LLMSettings, *, chat: bool = True) -> LLM:
        """The client for these settings; raises as `llm`."""
        key = (settings, chat)
        if key not in self._made:
            self._made[key] = llm(
                settings, self.connections(), chat=chat, capabilities=self._capabilities
            )
        return self._made[key]

    async def close(self) -> None:
        """Close the connections, if any were made."""
        if self._connections:
            await self._connections.aclose()
