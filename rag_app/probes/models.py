"""The models, each asked to do its work once: encoder, language model and reranker."""

import asyncio
import time
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import httpx
import orjson
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from generation.errors import GenerationError
from rag_app.assembly import clients, components
from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.llm.capabilities import Capabilities
from rag_app.llm.replies import LARGEST
from rag_app.probes.base import BEYOND, Problem, shown, since
from rag_app.settings import LLMSettings, Settings, override
from retrieval.encoders.base import Encoder
from retrieval.replies import PLAIN, read
from retrieval.reranking.base import Reranker


class Listed(NamedTuple):
    """What `/models` tells.

    Attributes:
        names: of all models.
        window: tokens that ours reads and writes; None where it is not told, as by OpenAI.
    """

    names: list[str]
    window: int | None


async def language_model(
    chosen: LLMSettings,
    seconds: float,
    *,
    chat: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
) -> str:
    """Ask as a question is asked until the first words come, and for the list of models.

    Args:
        chosen: where it is.
        seconds: that it has to answer.
        chat: whether it is spoken to in turns, as the stage does that uses it.
        transport: sends the requests, where given.

    Raises:
        SettingsError: no model is named.
        GenerationError: it cannot be reached, refuses the key or the model, or takes too long.
        Problem: it answers something else, lacks the model, or reads less than the settings say.
    """
    hasty = chosen.model_copy(update={"timeout": seconds * BEYOND})
    secure = chosen.api_base.startswith("https:")  # else certificates need not be loaded
    async with httpx.AsyncClient(
        trust_env=False, verify=secure, timeout=hasty.timeout, transport=transport
    ) as connections:
        capabilities = Capabilities()
        asking = asyncio.create_task(_first_words(hasty, connections, chat, capabilities))
        listed = await list_models(chosen, connections)
        try:
            took = await asking
        except GenerationError as error:
            if not listed.names or chosen.model in listed.names:
                raise
            some = ", ".join(name[:100] for name in listed.names[:20])
            hint = f"Name a model that it lists: {some}"
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
    refused = ", ".join(capabilities.left_out())
    without = f", asked without {refused}, which it refuses" if refused else ""
    return f"{chosen.model} at {where}{window}, first words {took}{without}"


async def _first_words(
    chosen: LLMSettings, connections: httpx.AsyncClient, chat: bool, capabilities: Capabilities
) -> str:
    """How long they take; streamed and with a system message, as readers ask."""
    from llama_index.core.base.llms.types import ChatMessage, MessageRole

    from generation.server_errors import explain_failure
    from retrieval.llm_calls import answer, failures, reason

    model = clients.llm(chosen, connections, chat=chat, retries=0, capabilities=capabilities)
    start = time.perf_counter()
    try:
        if chat:
            rules = ChatMessage("You answer in one word.", role=MessageRole.SYSTEM)
            stream = await answer(model.astream_chat([rules, ChatMessage("Say yes.")]))
            async with aclosing(stream) as pieces:
                await answer(anext(pieces))
        else:
            await answer(model.acomplete("Yes", formatted=True, max_tokens=1))
    except failures() as error:
        where = shown(chosen.api_base)
        explained = explain_failure(error, where, chosen.model, chosen.timeout)
        if isinstance(explained, GenerationError):
            raise explained from error
        raise Problem(
            f"what listens at {where} does not answer as OpenAI's API does",
            cause=reason(error),
            hint="Check the address: it ends where the API begins, often in /v1",
        ) from error
    return since(start)


async def list_models(chosen: LLMSettings, connections: httpx.AsyncClient) -> Listed:
    """What a server lists; nothing where it does not: a call for a token tells what is wrong."""
    url, key = f"{chosen.api_base.rstrip('/')}/models", chosen.api_key.get_secret_value()
    try:
        headers = {**PLAIN, "Authorization": f"Bearer {key}"}
        async with connections.stream("GET", url, headers=headers) as answer:
            raw = await read(answer.raise_for_status(), LARGEST)
        listed: list[dict[str, Any]] = orjson.loads(raw)["data"]
        names = [str(each["id"]) for each in listed]
        windows = [each.get("max_model_len") for each in listed if each["id"] == chosen.model]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, AttributeError):
        return Listed([], None)
    window = windows[0] if windows else None
    return Listed(names, window if isinstance(window, int) else None)


def encoder(settings: Settings, seconds: float) -> str:
    """Verify the encoder, then time one query.

    Args:
        settings: name the encoder.
        seconds: that a server has to answer.

    Raises:
        SettingsError: it cannot be made.
        EncoderError: it does not answer, or gives other vectors than its row promises.
    """
    choice = choose(settings)
    model = components.encoder(settings)
    if choice.served:
        model = _impatient(model, seconds * BEYOND)
    try:
        found = model.verify()
        start = time.perf_counter()
        model.encode_query("Does the encoder work?")
        took = since(start)
    finally:
        model.close()
    return f"{found}; {_run_by(choice)}, a query {took}; licence {choice.row.licence}"


def _impatient(model: Encoder, seconds: float) -> Encoder:
    """The same encoder that gives its server up at once."""
    from retrieval.encoders.remote.served import ServedEncoder

    return model.patient(seconds, attempts=1) if isinstance(model, ServedEncoder) else model


def _run_by(choice: EncoderChoice) -> str:
    if choice.backend == "onnx":
        return f"onnx on cpu, {choice.run.precision}"
    if choice.backend != "transformers":
        return choice.backend
    from retrieval.encoders.local.checkpoint import pick_device, pick_dtype

    device = pick_device(choice.run.device)
    return f"transformers on {device}, {pick_dtype(choice.run.dtype, device)}"


_QUESTION: Final = "Which city is the capital of France?"
_BESIDE: Final = "Bananas grow in bunches and turn yellow while they ripen."
_ANSWERS: Final = "Paris is the capital of France and its largest city."
_REASONING: Final = ("rank1", "retro-star")
"""Kinds that think for many seconds before they grade."""


def reranker_address(settings: Settings) -> str:
    """Where its model is served, or its name where it runs in this process."""
    if settings.rerank.kind == "cross-encoder":
        return settings.rerank.model or settings.rerank.url
    return _model(settings).api_base


def _model(settings: Settings) -> LLMSettings:
    return clients.llm_of(settings, settings.rerank.llm)


async def reranker(settings: Settings, seconds: float) -> str:
    """Grade two passages; of the kinds that reason at length, ask the model for one token.

    Raises:
        SettingsError: the settings of the reranker do not fit.
        GenerationError: a reasoning model does not answer.
        Problem: passages got no grade, or the wrong one came first.
    """
    kind = settings.rerank.kind
    if kind in _REASONING:
        found = await language_model(_model(settings), seconds, chat=kind == "retro-star")
        return f"{kind}: {found} (grades take longer and were not tried)"
    if kind == "cross-encoder" and settings.rerank.model:
        asked_for = f"{settings.rerank.model} in this process"
    else:
        asked_for = (
            f"{_model(settings).model or 'its model'} at {shown(reranker_address(settings))}"
        )
    patience = seconds * BEYOND
    hasty = override(settings, {"rerank": {"deadline": patience}, "llm": {"timeout": patience}})
    given = [
        NodeWithScore(node=TextNode(text=text), score=1.0) for text in (_BESIDE, _ANSWERS)
    ]  # equal scores, so that grades alone decide
    asked = clients.Clients()
    try:
        grader = components.reranker(hasty, asked)
        start = time.perf_counter()
        if not isinstance(grader, Reranker):
            kept = await grader.apostprocess_nodes(given, QueryBundle(_QUESTION))
            return f"{kind}: keeps {len(kept)} of {len(given)} passages"
        outcome = await grader.rerank(_QUESTION, given)
    finally:
        await asked.close()
    took, notes = since(start), outcome.notes
    if notes.get("ok") != len(given):
        raise Problem(
            f"{kind}: {asked_for} gives no grades",
            cause=str(notes.get("error") or "its answer holds none in the form asked for"),
            hint="Start that server, or correct its address, model and key under rerank (and "
            "llm); without grades passages keep the retriever's order",
        )
    if outcome.nodes[0].node.get_content() != _ANSWERS:
        raise Problem(
            f"{kind}: {asked_for} does not put a passage that answers before one that does not",
            hint="Check that a model made for reranking is served, with its own template",
        )
    return f"{kind}: {asked_for} orders two passages, {took}"
