"""Systems by name, to compare and to evaluate: ``RETRIEVER[@ENCODER][+rewrite][+RERANKER]``.

A name says all of a pipeline that it does not leave away: ``hybrid`` neither rewrites nor reranks,
whatever the settings do. How a part works (weights, candidates, lengths) is up to the settings.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product as combinations

from rag_app.errors import SettingsError
from rag_app.service import QueryOptions
from rag_app.settings import Settings, is_path
from retrieval.components import RERANKERS, RETRIEVERS, REWRITERS

_LEXICAL = {"bm25", "rank_bm25"}
_HINT = "Write RETRIEVER[@ENCODER][+rewrite][+RERANKER], for instance hybrid@minilm+rewrite+qwen"


class UnknownSystem(SettingsError):
    """A name of a system, or of a part of one, cannot be understood: wrong usage."""


@dataclass(frozen=True)
class System:
    """A pipeline to compare with others.

    Attributes:
        options: what it is asked with; everything that it leaves open is as the settings have it.
    """

    name: str
    options: QueryOptions

    @property
    def reads_query(self) -> bool:
        """Whether an encoder turns queries into vectors."""
        return self.options.retriever not in _LEXICAL


def parse(text: str, encoders: Collection[str] = ()) -> System:
    """The system of that name; parts behind the first may stand in any order.

    Args:
        encoders: rows there are; the name of one alone means ``dense@ENCODER``, and no other may be
            named. None is accepted as it is.

    Raises:
        UnknownSystem: a part is unknown or named twice.
    """
    first, *parts = text.strip().split("+")
    retriever, at, encoder = first.partition("@")
    if retriever in encoders and not at:
        retriever, at, encoder = "dense", "@", first
    if encoders and encoder and encoder not in encoders:
        raise UnknownSystem(
            f"encoder {encoder!r} is unknown",
            cause=f"there are {', '.join(sorted(encoders))}",
            hint=_HINT,
        )
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


def parse_all(texts: Iterable[str], encoders: Collection[str] = ()) -> list[System]:
    """The systems of those names, blank ones left away.

    Raises:
        UnknownSystem: a name is unknown, or two mean the same system.
    """
    return _all_different([parse(text, encoders) for text in texts if text.strip()])


def compared(text: str, encoders: Collection[str], default: str) -> list[System]:
    """At least two systems out of a list such as ``bm25,hybrid@minilm,reasonir-8b``.

    Raises:
        UnknownSystem: a name is unknown, a system is named twice, or there are fewer than two.
    """
    systems = parse_all(text.split(","), encoders)
    if len(systems) < 2:
        raise UnknownSystem(
            "there is nothing to compare",
            cause=f"{text!r} names one system",
            hint="Name at least two, for instance --systems bm25,dense,hybrid",
        )
    _all_different(
        [System(one.name.replace(f"@{default}", ""), one.options) for one in systems]
    )  # fmt: skip - a system that names the default encoder is the one that names none
    return systems


def product(
    retrievers: Sequence[str],
    encoders: Sequence[str] = (),
    rewrites: Sequence[str] = ("none",),
    reranks: Sequence[str] = ("none",),
    classes: Sequence[str] = (),
) -> list[System]:
    """Every combination, retrievers varying slowest.

    Args:
        encoders: rows of the encoder registry; none means the settings' own. Lexical retrievers
            need no encoder, so they appear once.

    Raises:
        UnknownSystem: a name is unknown or appears twice.
    """
    systems = []
    for retriever in retrievers:
        lexical = retriever in _LEXICAL
        encoder_names = [""] if lexical else encoders or [""]
        for encoder, rewriter, reranker in combinations(encoder_names, rewrites, reranks):
            system = _system(retriever, encoder, rewriter, reranker, classes)
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
        # A class that the settings name is theirs to choose, so options leave it open.
        kinds = (settings.retrieval.retriever, settings.rerank.kind)
        found += product(
            retrievers or kinds[:1],
            encoders,
            rewrites or [settings.rewrite.kind],
            reranks or kinds[1:],
            classes=[kind for kind in kinds if is_path(kind)],
        )
    return _all_different(found)


def _system(
    retriever: str, encoder: str, rewriter: str, reranker: str, classes: Sequence[str] = ()
) -> System:
    for what, name, known in (
        ("retriever", retriever, [*(name for name in RETRIEVERS if name != "none"), *classes]),
        ("rewriter", rewriter, [*REWRITERS]),
        ("reranker", reranker, [*RERANKERS, *classes]),
    ):
        if name not in known:
            raise UnknownSystem(
                f"{what} {name!r} is unknown", cause=f"there are {', '.join(known)}", hint=_HINT
            )
    parts = [f"{retriever}@{encoder}" if encoder else retriever]
    parts += ["rewrite"] * (rewriter != "none") + [reranker] * (reranker != "none")
    options = QueryOptions(
        retriever=None if retriever in classes else retriever,
        encoder=encoder or None,
        rewrite=rewriter,
        rerank=None if reranker in classes else reranker,
    )
    return System("+".join(parts), options)


def _all_different(systems: list[System]) -> list[System]:
    names = [system.name for system in systems]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UnknownSystem(f"system {twice!r} is named twice", hint="Name every system once")
    if not systems:
        raise UnknownSystem("no system is named", hint=_HINT)
    return systems
