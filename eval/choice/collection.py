"""The collection that a run's passages come from."""

from collections.abc import Sequence
from pathlib import Path

from eval.choice.arms import Arm
from eval.choice.plan import ChoicePlan
from eval.errors import EvalError
from eval.runs.collections import collection_name, ingest
from rag_app.results import IndexInfo, OnProgress
from rag_app.service import Service
from rag_app.settings import Settings

_PLAIN_NAMES = {"passages", "corpus", "documents", "data"}


async def prepare(
    service: Service,
    plan: ChoicePlan,
    settings: Settings,
    corpus: Path | None,
    arms: Sequence[Arm],
    on_ingest: OnProgress | None = None,
) -> tuple[str, list[IndexInfo]]:
    """Bring the collection up to date, and make sure that every arm finds its index there.

    A corpus that the plan names, or, where it names no collection, the one that lies beside the
    data set, is ingested first.

    Args:
        corpus: the one that lies beside the data set; None for none.
        arms: those that need passages.

    Returns:
        The collection's name, and those of its indexes that are searched.

    Raises:
        EvalError: a document cannot be read, or an index is missing, out of date or empty.
    """
    wanted = Path(plan.corpus) if plan.corpus else None if plan.collection else corpus
    collection = plan.collection or (collection_of(wanted) if wanted else settings.collection)
    encoders = list(dict.fromkeys(arm.options.encoder or settings.encoder.name for arm in arms))
    if wanted is not None:
        await ingest(service, collection, wanted, encoders, on_ingest)
    indexes = await service.indexes(collection)
    return collection, [_searched(indexes, collection, encoder) for encoder in encoders]


def collection_of(corpus: Path) -> str:
    """``openstax/passages.jsonl`` goes into ``eval-openstax``, ``My books`` into ``eval-My-books``.

    Raises:
        EvalError: the corpus is not there.
    """
    if not corpus.exists():
        raise EvalError(f"{corpus} does not exist", hint="Name another --corpus")
    path = corpus.absolute()
    return collection_name(path.parent.name if corpus.stem in _PLAIN_NAMES else path.stem)


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
            hint=f"Ingest documents: `rag-app ingest PATH --collection {collection}`",
        )
    return found
