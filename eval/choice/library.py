"""The collection that a run's passages come from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.choice.arms import Arm
from eval.choice.plan import ChoicePlan
from eval.errors import EvalError
from rag_app.ingestion.engine import OnProgress
from rag_app.results import IndexInfo
from rag_app.service import Service
from rag_app.settings import Settings

_PLAIN_NAMES = {"passages", "corpus", "documents", "data"}
_TOLD = ("encoder", "fingerprint", "documents", "passages")
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Shelf:
    """Where passages are found.

    Attributes:
        collection: its name.
        indexes: those that are searched.
    """

    collection: str
    indexes: Sequence[IndexInfo]


async def take_in(
    service: Service,
    plan: ChoicePlan,
    settings: Settings,
    corpus: Path | None,
    arms: Sequence[Arm],
    on_ingest: OnProgress | None = None,
) -> Shelf:
    """Bring the collection up to date, and make sure that every arm finds its index there.

    A corpus that the plan names, or, where it names no collection, the one that lies beside the
    data set, is taken in first; nothing is done about documents that have not changed.

    Args:
        service: the application.
        plan: of the run.
        settings: those in force.
        corpus: the one that lies beside the data set; None for none.
        arms: those that need passages.
        on_ingest: is told how far the taking in is.

    Raises:
        EvalError: a document cannot be read, or an index is missing, out of date or empty.
    """
    wanted = Path(plan.corpus) if plan.corpus else None if plan.collection else corpus
    collection = plan.collection or (collection_of(wanted) if wanted else settings.collection)
    encoders = list(dict.fromkeys(arm.options.encoder or settings.encoder.name for arm in arms))
    if wanted is not None:
        await _ingest(service, collection, wanted, encoders, on_ingest)
    indexes = await service.indexes(collection)
    return Shelf(collection, [_searched(indexes, collection, encoder) for encoder in encoders])


def collection_of(corpus: Path) -> str:
    """``openstax/passages.jsonl`` goes into ``eval-openstax``, ``My books`` into ``eval-My-books``.

    Raises:
        EvalError: the corpus is not there.
    """
    if not corpus.exists():
        raise EvalError(f"{corpus} does not exist", hint="Name another --corpus")
    folder = corpus.absolute().parent
    name = folder.name if corpus.stem in _PLAIN_NAMES else corpus.absolute().stem
    return f"eval-{re.sub(r'[^A-Za-z0-9_-]+', '-', name).strip('-')}"[:_LONGEST_NAME]


def require_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other passages than a run began with.

    Args:
        before: collections with their indexes, as env.json has them.
        now: the same at present.

    Raises:
        EvalError: an index differs.
    """
    for collection, indexes in now.items():
        there = [[index[name] for name in _TOLD] for index in indexes]
        if [[index[name] for name in _TOLD] for index in before.get(collection, [])] != there:
            raise EvalError(
                f"collection {collection} has changed since the run began",
                cause="answers over other passages cannot be put beside those that are there",
                hint="Begin a new run with another --out",
            )


async def _ingest(
    service: Service,
    collection: str,
    corpus: Path,
    encoders: Sequence[str],
    on_ingest: OnProgress | None,
) -> None:
    first, *others = encoders
    report = await service.ingest(collection, [corpus], on_ingest, first)
    if report.failures:
        failure = report.failures[0]
        raise EvalError(f"{failure.source} could not be taken in", cause=failure.reason)
    for encoder in others:
        await service.build_index(collection, encoder, on_ingest)


def _searched(indexes: Sequence[IndexInfo], collection: str, encoder: str) -> IndexInfo:
    of_encoder = [index for index in indexes if index.encoder == encoder]
    found = next((index for index in of_encoder if index.usable), None)
    build = f"`rag-app indexes build --encoder {encoder} --collection {collection}`"
    if found is None:
        raise EvalError(
            f"collection {collection} has no index of encoder {encoder}",
            cause="it was built with other settings" if of_encoder else "",
            hint=f"Build it: {build}",
        )
    if found.behind:
        raise EvalError(
            f"the index of encoder {encoder} in collection {collection} is incomplete",
            cause=f"{found.behind} documents are missing or old",
            hint=f"Bring it up to date: {build}",
        )
    if not found.passages:
        raise EvalError(
            f"collection {collection} is empty",
            cause="there is nothing to find",
            hint=f"Take documents in: `rag-app ingest PATH --collection {collection}`",
        )
    return found
