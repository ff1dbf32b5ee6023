"""What a retrieval run is asked to do."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval.lengths import cut_name
from eval.runs.collections import collection_name
from eval.runs.plan import Plan
from rag_app.assembly import recipes
from rag_app.assembly.encoders import choose
from rag_app.service import QueryOptions
from rag_app.settings import Settings, override
from rag_app.systems.grammar import System

_RENAMED = {"own_settings": "needs_settings"}
"""Fields of plans that earlier versions wrote."""


@dataclass(frozen=True)
class RetrievalPlan(Plan):
    """A plan whose `collection` is empty for runs of other programs.

    Attributes:
        systems: what is compared; for runs of other programs their names alone.
        queries: which queries of the data set, such as ``gpt4_reason``.
        lengths: tokens that queries are cut to, each a further run of every system.
        depth: documents kept of a ranking.
        needs_settings: whether its settings differ from those that were given, so that an
            application that runs already cannot be used.
        runs: files of other programs' runs, by system; nothing is searched then.
        notes: what is to be known of the results.
    """

    systems: tuple[System, ...]
    queries: str = "original"
    lengths: tuple[int, ...] = ()
    depth: int = 100
    needs_settings: bool = False
    runs: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, systems by name with what each is asked with."""
        options = {
            system.name: system.options.model_dump(mode="json", exclude_defaults=True)
            for system in self.systems
        }
        plan = replace(self, systems=())
        return {**super(RetrievalPlan, plan).as_dict(), "systems": [*options], "options": options}

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Self:
        """From what `as_dict` gave. Raises EvalError: it is not that."""
        values = {_RENAMED.get(name, name): value for name, value in plan.items()}
        try:
            options = values.pop("options")
            systems = [System(name, QueryOptions(**options[name])) for name in values["systems"]]
        except (KeyError, TypeError, ValueError) as error:
            raise EvalError("the run's plan is damaged", cause=str(error)) from None
        return super().of({**values, "systems": systems})

    @property
    def names(self) -> list[str]:
        """What samples' systems are called: each system, and each with its queries cut."""
        return [
            name
            for system in self.systems
            for name in (system.name, *(cut_name(system.name, n) for n in self.lengths))
        ]

    @property
    def asked(self) -> str:
        """The data set with its queries, such as ``bright:biology@gpt4_reason``."""
        whole = "@" in self.dataset or self.queries == "original"
        return self.dataset if whole else f"{self.dataset}@{self.queries}"

    @property
    def encoders(self) -> list[str | None]:
        """The encoders whose indexes are searched; None is the settings' own."""
        return list(dict.fromkeys(system.options.encoder for system in self.systems))


def collection_of(dataset: str) -> str:
    """The collection that a data set's documents are in: ``beir:x/scifact`` has
    ``eval-scifact``, ``bright:biology@gpt4_reason`` has ``eval-bright-biology``.
    """
    kind, _, rest = dataset.partition("@")[0].partition(":")
    last = re.split(r"[/\\]", rest.rstrip("/\\"))[-1]
    return collection_name(*([] if kind == "beir" else [kind]), last)


def limited(dataset: RetrievalDataset, limit: int | None) -> RetrievalDataset:
    """The data set with at most that many queries, chosen by the SHA-256 of their ids.

    Every smaller limit has a part of the queries of a larger one.
    """
    if limit is None or limit >= len(dataset.queries):
        return dataset
    chosen = set(sorted(dataset.queries, key=_hash)[:limit])
    return replace(
        dataset,
        queries={query: text for query, text in dataset.queries.items() if query in chosen},
        qrels={query: row for query, row in dataset.qrels.items() if query in chosen},
    )


def with_task(settings: Settings, task: str, systems: Iterable[System]) -> Settings:
    """Settings in which encoders and rerankers know the task, as far as they have words for it.

    One that was given an instruction, a definition or another task keeps that.

    Raises:
        SettingsError: an encoder is unknown.
    """
    if not task:
        return settings
    settings = recipes.for_task(settings, task)
    names = {system.options.encoder for system in systems if system.reads_query}
    for name in sorted(filter(None, names)):
        choice = choose(settings, name)
        has_instruction = choice.run.task or choice.run.instruction is not None
        if task in choice.row.instructions and not has_instruction:
            settings = override(settings, {"encoders": {name: {"task": task}}})
    return settings


def _hash(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()
