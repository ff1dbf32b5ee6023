"""The reranker: given two passages, of which one answers, in the wrong order."""

import time
from typing import Final

from llama_index.core.schema import NodeWithScore, TextNode

from rag_app.assembly import application as assembly
from rag_app.probes.base import BEYOND, Problem, shown, since
from rag_app.probes.language_model import language_model
from rag_app.settings import LLMSettings, Settings, override

_QUESTION: Final = "Which city is the capital of France?"
_BESIDE: Final = "Bananas grow in bunches and turn yellow while they ripen."
_ANSWERS: Final = "Paris is the capital of France and its largest city."
_REASONING: Final = ("rank1", "retro-star")
"""Kinds that think for many seconds before they grade."""


def address(settings: Settings) -> str:
    """Where its model is served."""
    if settings.rerank.kind == "cross-encoder":
        return settings.rerank.url
    return _model(settings).api_base


def _model(settings: Settings) -> LLMSettings:
    return assembly.llm_of(settings, settings.rerank.llm)


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
    model, where = _model(settings).model or "its model", shown(address(settings))
    patience = seconds * BEYOND
    hasty = override(settings, {"rerank": {"deadline": patience}, "llm": {"timeout": patience}})
    given = [
        NodeWithScore(node=TextNode(text=text), score=1.0) for text in (_BESIDE, _ANSWERS)
    ]  # equal scores, so that grades alone decide
    async with assembly.reranker(hasty) as grader:
        start = time.perf_counter()
        outcome = await grader.rerank(_QUESTION, given)
    took, notes = since(start), outcome.notes
    if notes.get("ok") != len(given):
        raise Problem(
            f"{kind}: {model} at {where} gives no grades",
            cause=str(notes.get("error") or "its answer holds none in the form asked for"),
            hint="Start that server, or correct its address, model and key under rerank (and "
            "llm); without grades passages keep the retriever's order",
        )
    if outcome.nodes[0].node.get_content() != _ANSWERS:
        raise Problem(
            f"{kind}: {model} at {where} does not put a passage that answers before one that "
            "does not",
            hint="Check that a model made for reranking is served, with its own template",
        )
    return f"{kind}: {model} at {where} orders two passages, {took}"
