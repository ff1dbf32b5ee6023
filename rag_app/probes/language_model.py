"""A language model: whether its server writes one token, and how much it reads."""

import asyncio
import time
from typing import Any, NamedTuple

import httpx

from generation.errors import GenerationError
from rag_app.assembly import application as assembly
from rag_app.probes.base import BEYOND, Problem, shown, since
from rag_app.settings import LLMSettings


class _Listed(NamedTuple):
    """What `/models` tells.

    Attributes:
        names: of all models.
        window: tokens that ours reads and writes; None where it is not told, as by OpenAI.
    """

    names: list[str]
    window: int | None


async def language_model(chosen: LLMSettings, seconds: float, *, chat: bool = True) -> str:
    """Ask for one token, and for the list of models.

    Args:
        chosen: where it is.
        seconds: that it has to answer.
        chat: whether it is spoken to in turns, as the stage does that uses it.

    Raises:
        SettingsError: no model is named.
        GenerationError: it cannot be reached, refuses the key or the model, or takes too long.
        Problem: it answers something else, lacks the model, or reads less than the settings say.
    """
    hasty = chosen.model_copy(update={"timeout": seconds * BEYOND})
    secure = chosen.api_base.startswith("https:")  # else certificates need not be loaded
    async with httpx.AsyncClient(
        trust_env=False, verify=secure, timeout=hasty.timeout
    ) as connections:
        asking = asyncio.create_task(_one_token(hasty, connections, chat))
        listed = await _models(chosen, connections)
        try:
            took = await asking
        except GenerationError as error:
            if not listed.names or chosen.model in listed.names:
                raise
            hint = f"Name a model that it lists: {', '.join(listed.names)}"
            raise Problem(error.message, cause=error.cause, hint=hint) from error
    where = shown(chosen.api_base)
    if listed.window is not None and listed.window < chosen.context_window:
        raise Problem(
            f"{chosen.model} at {where} reads {listed.window} tokens, and the settings count on "
            f"{chosen.context_window}",
            hint=f"Set context_window of this stage's model to {listed.window}, as by "
            f"RAG_APP_LLM__CONTEXT_WINDOW, or serve it with --max-model-len "
            f"{chosen.context_window}",
        )
    window = f", reads {listed.window} tokens" if listed.window is not None else ""
    return f"{chosen.model} at {where}{window}, one token {took}"


async def _one_token(chosen: LLMSettings, connections: httpx.AsyncClient, chat: bool) -> str:
    from llama_index.core.base.llms.types import ChatMessage

    from generation.server_errors import explain_failure
    from retrieval.llm_calls import answer, failures, reason

    model, start = assembly.llm(chosen, connections, chat=chat, retries=0), time.perf_counter()
    try:
        if chat:
            await answer(model.achat([ChatMessage("Say yes.")], max_tokens=1))
        else:
            await answer(model.acomplete("Yes", formatted=True, max_tokens=1))
    except failures() as error:
        where = shown(chosen.api_base)
        told = explain_failure(error, where, chosen.model, chosen.timeout)
        if isinstance(told, GenerationError):
            raise told from error
        raise Problem(
            f"what listens at {where} does not answer as OpenAI's API does",
            cause=reason(error),
            hint="Check the address: it ends where the API begins, often in /v1",
        ) from error
    return since(start)


async def _models(chosen: LLMSettings, connections: httpx.AsyncClient) -> _Listed:
    """Nothing where the server does not list them: the call for a token tells what is wrong."""
    url, key = f"{chosen.api_base.rstrip('/')}/models", chosen.api_key.get_secret_value()
    try:
        answer = await connections.get(url, headers={"Authorization": f"Bearer {key}"})
        listed: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        names = [str(each["id"]) for each in listed]
        windows = [each.get("max_model_len") for each in listed if each["id"] == chosen.model]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, AttributeError):
        return _Listed([], None)
    window = windows[0] if windows else None
    return _Listed(names, window if isinstance(window, int) else None)
