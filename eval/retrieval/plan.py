"""What a retrieval run is asked to do."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval.lengths import cut_name
from eval.systems import System
from rag_app import recipes
from rag_app.assembly.encoders import choose
from rag_app.service import QueryOptions
from rag_app.settings import Settings, override

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class RetrievalPlan:
    """What was asked for; all of it is kept in `run.json`.

    Attributes:
        dataset: name of the data set.
        systems: what is compared; for runs of others their names alone.
        collection: where the documents are; empty for runs of others.
        queries: which queries of the data set, such as ``gpt4_reason``.
        lengths: tokens that queries are cut to, each a further run of every system.
        limit: that many queries; None means all.
        depth: documents kept of a ranking.
        data_dir: folder of local data; empty for none.
        concurrency: searches under way at once.
        max_errors: share of errors from which the run stops.
        own_settings: whether its settings differ from those that were given, so that an
            application that runs already cannot be used.
        runs: files of others' runs, by system; nothing is searched then.
        notes: what is to be known of the results.
    """

    dataset: str
    systems: tuple[System, ...]
    collection: str = ""
    queries: str = "original"
    lengths: tuple[int, ...] = ()
    limit: int | None = None
    depth: int = 100
    data_dir: str = ""
    concurrency: int = 1
    max_errors: float = 0.02
    own_settings: bool = False
    runs: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        options = {
            system.name: system.options.model_dump(mode="json", exclude_defaults=True)
            for system in self.systems
        }
        lists = {"lengths": list(self.lengths), "notes": list(self.notes)}
        plan = asdict(replace(self, systems=()))
        return {**plan, **lists, "systems": list(options), "options": options}

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> "RetrievalPlan":
        """From what `as_dict` gave.

        Raises:
            EvalError: it is not that.
        """
        try:
            given = dict(plan)
            options = given.pop("options")
            systems = (System(name, QueryOptions(**options[name])) for name in plan["systems"])
            lists = {name: tuple(plan[name]) for name in ("lengths", "notes")}
            return cls(**{**given, **lists, "systems": tuple(systems)})
        except (KeyError, TypeError, ValueError) as error:
            raise EvalError("the run's plan is damaged", cause=str(error)) from None

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


def collection_name(dataset: str) -> str:
    """The collection that a data set's documents are taken into: ``beir:x/scifact`` has
    ``eval-scifact``, ``bright:biology@gpt4_reason`` has ``eval-bright-biology``.
    """
    kind, _, rest = dataset.partition("@")[0].partition(":")
    last = re.split(r"[/\\]", rest.rstrip("/\\"))[-1]
    parts = ["eval", last] if kind == "beir" else ["eval", kind, last]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(filter(None, parts))).strip("-")
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}-{digest}"


def limited(dataset: RetrievalDataset, limit: int | None) -> RetrievalDataset:
    """The data set with at most that many queries, chosen by the SHA-256 of their ids.

    Every smaller limit has a part of the queries of a larger one.
    """
    if limit is None or limit >= len(dataset.queries):
        return dataset
    chosen = set(sorted(dataset.queries, key=_chance)[:limit])
    return replace(
        dataset,
        queries={query: text for query, text in dataset.queries.items() if query in chosen},
        qrels={query: row for query, row in dataset.qrels.items() if query in chosen},
    )


def with_task(settings: Settings, task: str, systems: Iterable[System]) -> Settings:
    """Settings in which encoders and rerankers know the task, as far as they have words for it.

    One that was given an instruction, a definition or another task keeps that.

    Args:
        settings: as they were given.
        task: of the data set; empty for none.
        systems: whose encoders they are.

    Raises:
        SettingsError: an encoder is unknown.
    """
    if not task:
        return settings
    settings = recipes.for_task(settings, task)
    names = {system.options.encoder for system in systems if system.reads_query}
    for name in sorted(filter(None, names)):
        choice = choose(settings, name)
        said = choice.run.task or choice.run.instruction is not None
        if task in choice.row.instructions and not said:
            settings = override(settings, {"encoders": {name: {"task": task}}})
    return settings


def _chance(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()
