"""Which passages of a collection are asked about: by chance, and spread over its documents."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from eval.datasets.generated.questions import Place
from rag_app.results import Hit
from rag_app.service import Service

SHORTEST = 30
"""Words of a passage that is asked about: less says too little."""


@dataclass
class Survey:
    """What one look at all passages told.

    Attributes:
        places: of the passages that are long enough.
        frequency: term -> passages that hold it.
    """

    places: list[Place] = field(default_factory=list)
    passages: int = 0
    frequency: Counter[str] = field(default_factory=Counter)


def place(hit: Hit) -> Place:
    """Where a passage lies."""
    return Place(hit.source, hit.page, hit.char_start, hit.char_end)


async def survey(
    service: Service,
    collection: str,
    encoder: str | None = None,
    terms: Callable[[str], Iterable[str]] | None = None,
    shortest: int = SHORTEST,
) -> Survey:
    """Look at all passages of an encoder's index, one batch in memory at a time.

    Args:
        terms: of a text, to be counted; None counts none.
        shortest: words of a passage whose place is noted.
    """
    seen = Survey()
    async for hit in _passages(service, collection, encoder):
        seen.passages += 1
        if len(hit.text.split()) >= shortest:
            seen.places.append(place(hit))
        if terms:
            seen.frequency.update(set(terms(hit.text)))
    return seen


def draw(places: Iterable[Place], seed: int) -> list[Place]:
    """All places in an order by chance: first one of each document, then another of each ...

    The order depends on the seed and the places alone, not on theirs.
    """
    documents: dict[str, list[Place]] = defaultdict(list)
    for one in places:
        documents[one.source].append(one)
    turns = [
        (turn, _chance(seed, source), one)
        for source, found in documents.items()
        for turn, one in enumerate(sorted(found, key=lambda one: _chance(seed, one.id)))
    ]
    return [one for _, _, one in sorted(turns, key=lambda turn: turn[:2])]


async def fetch(
    service: Service, collection: str, wanted: Collection[Place], encoder: str | None = None
) -> dict[Place, Hit]:
    """The passages at those places, as far as they are there."""
    chosen = set(wanted)
    return {
        where: hit
        async for hit in _passages(service, collection, encoder)
        if (where := place(hit)) in chosen
    }


async def _passages(service: Service, collection: str, encoder: str | None) -> AsyncIterator[Hit]:
    async with aclosing(service.passages(collection, encoder)) as batches:
        async for batch in batches:
            for hit in batch.passages:
                yield hit


def _chance(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()
