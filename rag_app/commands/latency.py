"""How long the reranker of the settings takes, measured."""

import time
from typing import Any, Final

from llama_index.core.schema import NodeWithScore, TextNode

from rag_app.assembly import components
from rag_app.assembly.clients import Clients
from rag_app.cost.flops import Workload
from rag_app.errors import SettingsError
from rag_app.settings import Settings, override
from retrieval.reranking.base import Reranker

_ROUNDS: Final = 3
_WORD: Final = "water "  # one token of most tokenizers


async def latency(settings: Settings, work: Workload) -> dict[str, Any]:
    """The reranker's quickest of three runs over a question's candidates, after one to load it.

    Raises:
        SettingsError: there is no reranker, it is none of ours, or it did not grade all passages.
    """
    kind, clients = settings.rerank.kind, Clients()
    given = [
        NodeWithScore(node=TextNode(text=_WORD * work.passage), score=1.0)
        for _ in range(work.candidates)
    ]
    try:
        reranker = components.reranker(override(settings, {"rerank": {"deadline": 600}}), clients)
        if kind == "none" or not isinstance(reranker, Reranker):
            raise SettingsError(
                "there is no reranker to time",
                cause=f"rerank.kind is {kind}",
                hint="Set RAG_APP_RERANK__KIND=cross-encoder, and RAG_APP_RERANK__MODEL",
            )
        durations = []
        for _ in range(1 + _ROUNDS):
            start = time.perf_counter()
            outcome = await reranker.rerank(_WORD * work.query, given)
            durations.append((time.perf_counter() - start) * 1000)
            if outcome.notes.get("ok") != len(given):
                raise SettingsError(
                    f"reranker {kind} did not grade all passages",
                    cause=str(outcome.notes.get("error", "")),
                )
    finally:
        await clients.close()
    model = settings.rerank.model or kind
    return {"model": model, "passages": len(given), "ms": round(min(durations[1:]), 1)}
