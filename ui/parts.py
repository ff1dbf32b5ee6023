"""The parts that systems can be put together from here, and why others cannot work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_app.assembly.availability import encoder_obstacle, reranker_obstacle, rewriter_obstacle
from rag_app.assembly.encoders import rows
from rag_app.errors import ApplicationError
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


STAGES: Final = {"encoders": "encoders", "rewriters": "rewrite", "rerankers": "rerank"}
"""The stages with parts beside the retriever, and the flag of `eval retrieval` for each."""
_VALUES: Final = {"": "none", "rewrite": "llm"}
"""What flags call the parts that names of systems call otherwise."""


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
    return _parts(settings, list(encoders.values()))


def parts_anywhere(settings: Settings) -> Parts:
    """What there is for documents that are indexed first."""
    usual = settings.encoder.name
    names = [usual, *(row.name for row in rows(settings) if row.name != usual)]
    return _parts(settings, [Part(name, name, encoder_obstacle(settings, name)) for name in names])


def chosen_parts(parts: Parts, checked: Any) -> dict[str, list[str]]:
    """The flags of `eval retrieval` for what is checked; a stage that is as usual is left away.

    Args:
        parts: that were offered.
        checked: by stage, the names of those that are checked, as the page sent them.

    Raises:
        ApplicationError: nothing is checked of a stage, or what cannot work.
    """
    flags = {}
    for stage, flag in STAGES.items():
        offered = {one.name: one for one in getattr(parts, stage)}
        usual = [next(iter(offered))]
        names = checked.get(stage, usual) if isinstance(checked, dict) else usual
        if names == usual:
            continue
        chosen = [offered.get(str(name)) for name in names] if isinstance(names, list) else []
        found = [one for one in chosen if one and not one.obstacle]
        if not found or len(found) < len(chosen):
            raise ApplicationError(f"nothing that can work is chosen of the {stage}")
        flags[flag] = [_VALUES.get(one.name, one.name) for one in found]
    return flags


def _parts(settings: Settings, encoders: Sequence[Part]) -> Parts:
    return Parts(
        [Part(name, name) for name in RETRIEVERS if name != "none"],
        encoders,
        [Part("", "none"), Part("rewrite", "rewrite", rewriter_obstacle(settings, "llm"))],
        [
            Part("" if name == "none" else name, name, reranker_obstacle(settings, name))
            for name in RERANKERS
        ],
    )
