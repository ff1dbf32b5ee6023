"""Systems under test, by name: ``RETRIEVER[@ENCODER][+rewrite][+RERANKER]``.

A name says all of a pipeline that it does not leave away: ``hybrid`` neither rewrites nor reranks,
whatever the settings do. How a part works (weights, candidates, lengths) is up to the settings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product as combinations
from typing import get_args

from eval.errors import EvalError
from rag_app.errors import SettingsError
from rag_app.service import QueryOptions
from rag_app.settings import RerankerName, RetrieverName, RewriterName, Settings

RETRIEVERS: tuple[str, ...] = tuple(name for name in get_args(RetrieverName) if name != "none")
RERANKERS: tuple[str, ...] = get_args(RerankerName)
REWRITERS: tuple[str, ...] = get_args(RewriterName)
_LEXICAL = {"bm25", "rank_bm25"}
_HINT = "Write RETRIEVER[@ENCODER][+rewrite][+RERANKER], for instance hybrid@minilm+rewrite+qwen"


class UnknownSystem(EvalError, SettingsError):
    """A name of a system, or of a part of one, cannot be understood: wrong usage."""


@dataclass(frozen=True)
class System:
    """A pipeline under test.

    Attributes:
        name: what it is called in results.
        options: what it is asked with; everything that it leaves open is as the settings have it.
    """

    name: str
    options: QueryOptions

    @property
    def reads_query(self) -> bool:
        """Whether an encoder turns queries into vectors."""
        return self.options.retriever not in _LEXICAL


def parse(text: str) -> System:
    """The system of that name; parts behind the first may stand in any order.

    Raises:
        UnknownSystem: a part is unknown or named twice.
    """
    first, *parts = text.strip().split("+")
    retriever, at, encoder = first.partition("@")
    if at and not encoder:
        raise UnknownSystem(f"system {text!r} names no encoder behind the @", hint=_HINT)
    rerankers = [part for part in parts if part != "rewrite"]
    if len(rerankers) > 1 or len(parts) > 2 or len(set(parts)) < len(parts):
        raise UnknownSystem(
            f"system {text!r} cannot be run",
            cause="it rewrites or reranks more than once",
            hint=_HINT,
        )
    rewriter = "llm" if "rewrite" in parts else "none"
    return _system(retriever, encoder, rewriter, rerankers[0] if rerankers else "none")


def parse_all(texts: Iterable[str]) -> list[System]:
    """The systems of those names, blank ones left away.

    Raises:
        UnknownSystem: a name is unknown, or two mean the same system.
    """
    return _all_different([parse(text) for text in texts if text.strip()])


def product(
    retrievers: Sequence[str],
    encoders: Sequence[str] = (),
    rewrites: Sequence[str] = ("none",),
    reranks: Sequence[str] = ("none",),
) -> list[System]:
    """Every combination, retrievers varying slowest.

    Args:
        retrievers: names of retrievers.
        encoders: rows of the encoder registry; none means the settings' own. Lexical retrievers
            need no encoder, so they appear once.
        rewrites: ``none`` and ``llm``.
        reranks: ``none`` and names of rerankers.

    Raises:
        UnknownSystem: a name is unknown or appears twice.
    """
    systems = []
    for retriever in retrievers:
        lexical = retriever in _LEXICAL
        named = [""] if lexical else encoders or [""]
        for encoder, rewriter, reranker in combinations(named, rewrites, reranks):
            system = _system(retriever, encoder, rewriter, reranker)
            if lexical and encoders:  # any index will do: take one that is there anyway
                options = system.options.model_copy(update={"encoder": encoders[0]})
                system = System(system.name, options)
            systems.append(system)
    return _all_different(systems)


def chosen(
    settings: Settings,
    systems: Sequence[str] = (),
    retrievers: Sequence[str] = (),
    encoders: Sequence[str] = (),
    rewrites: Sequence[str] = (),
    reranks: Sequence[str] = (),
) -> list[System]:
    """The systems named, and the product of the rest where any of it is given.

    What a product lacks is as in the settings; with nothing at all, theirs is the one system.

    Raises:
        UnknownSystem: a name is unknown, or a system appears twice.
    """
    found = [parse(text) for text in systems]
    if not found or retrievers or encoders or rewrites or reranks:
        found += product(
            retrievers or [settings.retrieval.retriever],
            encoders,
            rewrites or [settings.rewrite.kind],
            reranks or [settings.rerank.kind],
        )
    return _all_different(found)


def _system(retriever: str, encoder: str, rewriter: str, reranker: str) -> System:
    for what, name, known in (
        ("retriever", retriever, RETRIEVERS),
        ("rewriter", rewriter, REWRITERS),
        ("reranker", reranker, RERANKERS),
    ):
        if name not in known:
            raise UnknownSystem(
                f"{what} {name!r} is unknown",
                cause=f"there are {', '.join(known)}",
                hint=_HINT,
            )
    parts = [f"{retriever}@{encoder}" if encoder else retriever]
    parts += ["rewrite"] * (rewriter != "none") + [reranker] * (reranker != "none")
    options = QueryOptions.model_validate({
        "retriever": retriever, "encoder": encoder or None, "rewrite": rewriter, "rerank": reranker,
    })  # fmt: skip
    return System("+".join(parts), options)


def _all_different(systems: list[System]) -> list[System]:
    names = [system.name for system in systems]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UnknownSystem(f"system {twice!r} is named twice", hint="Name every system once")
    if not systems:
        raise UnknownSystem("no system is named", hint=_HINT)
    return systems
