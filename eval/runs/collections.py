"""The collection that a run searches, and whether searches do what the name of a system says."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from rag_app.results import OnProgress, Trace
from rag_app.service import Service
from retrieval.index.errors import NoIndexOfEncoder

_LONGEST_NAME = 64
_UNGRADED = ("failed", "skipped", "timeout")


def collection_name(*parts: str) -> str:
    """``eval-PART-PART`` in characters that a collection's name may have, at most 64 of them."""
    text = "-".join(filter(None, ("eval", *parts)))
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}-{digest}"


async def ingest(
    service: Service,
    collection: str,
    corpus: Path,
    encoders: Sequence[str | None],
    on_progress: OnProgress | None = None,
) -> None:
    """Bring a collection and its indexes up to date; what has not changed is passed over.

    Args:
        encoders: whose indexes are searched, at least one; None is that of the settings.

    Raises:
        EvalError: a document cannot be read.
    """
    first, *others = encoders
    try:
        report = await service.ingest(collection, [corpus], on_progress, first)
    except NoIndexOfEncoder:  # another run has made the collection, with another encoder
        await service.build_index(collection, first, on_progress)
        report = await service.ingest(collection, [corpus], on_progress, first)
    if report.failures:
        failure = report.failures[0]
        raise EvalError(f"{failure.source} could not be ingested", cause=failure.reason)
    for encoder in others:
        await service.build_index(collection, encoder, on_progress)


def require_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume over other passages than a run began with.

    Raises:
        EvalError: an index differs.
    """
    for collection, indexes in now.items():
        if [*map(_identity, indexes)] != [*map(_identity, before.get(collection, []))]:
            raise EvalError(
                f"collection {collection} has changed since the run began",
                cause="answers over other passages cannot be put beside those that are there",
                hint="Begin a new run with another --out",
            )


def _identity(index: Mapping[str, Any]) -> list[Any]:
    """What of an index must not change while a run goes on."""
    passages = index.get("passages", index.get("chunks"))  # as earlier versions called them
    return [index["encoder"], index["fingerprint"], index["documents"], passages]


def degraded(trace: Trace) -> str:
    """Why the pipeline did not do what its name says; empty where it did.

    People are better served by a search without the reranker than by none, so a server that fails
    is no error to the application. A measurement of the system it is.
    """
    for stage in trace.stages:
        reason = stage.get("error") or stage.get("fallback") or ""
        if stage["stage"] == "rewrite" and (stage.get("fallback") or stage.get("failed")):
            return f"the question was not rewritten: {reason}"
        ungraded = sum(int(stage.get(status, 0)) for status in _UNGRADED)
        if stage["stage"] == "rerank" and (ungraded or stage.get("fallback")):
            return f"{ungraded} passages were not graded: {reason}"
    return ""
