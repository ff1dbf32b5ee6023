"""The parts that systems can be put together from here, and why others cannot work."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag_app.assembly.availability import reranker_obstacle, rewriter_obstacle
from rag_app.results import IndexInfo
from rag_app.settings import Settings
from retrieval.components import RERANKERS, RETRIEVERS


@dataclass(frozen=True, slots=True)
class Part:
    """A choice of one stage.

    Attributes:
        name: as the names of systems write it; empty for what they leave away.
        label: for a person.
        obstacle: why it cannot work here; empty where it can.
    """

    name: str
    label: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """The choices of each stage, the usual one first."""

    retrievers: Sequence[Part]
    encoders: Sequence[Part]
    rewriters: Sequence[Part]
    rerankers: Sequence[Part]


def parts_of(settings: Settings, indexes: Sequence[IndexInfo]) -> Parts:
    """What there is for a collection.

    Args:
        settings: those in force.
        indexes: of the collection; encoders that have none cannot be searched with.
    """
    usual = settings.encoder.name
    encoders = {usual: Part(usual, usual, "has no index of this collection")}
    for index in indexes:
        if index.usable and index.passages:
            behind = f" ({index.behind} documents behind)" if index.behind else ""
            encoders[index.encoder] = Part(index.encoder, f"{index.encoder}{behind}")
        elif index.encoder not in encoders:
            encoders[index.encoder] = Part(index.encoder, index.encoder, "has to be built anew")
    return Parts(
        [Part(name, name) for name in RETRIEVERS if name != "none"],
        list(encoders.values()),
        [Part("", "none"), Part("rewrite", "rewrite", rewriter_obstacle(settings, "llm"))],
        [
            Part("" if name == "none" else name, name, reranker_obstacle(settings, name))
            for name in RERANKERS
        ],
    )
