"""Recipes: published pipelines, one settings file each, with the number that it should reach.

A recipe is a file of settings (`profiles/recipes/NAME.toml`) that names a whole way from queries to
ranked passages. Its table ``recipe`` says what the settings cannot: which queries of the data set
it is for, what it needs, what was published for it and by whom, and where our run differs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_app.assembly.encoders import choose
from rag_app.errors import SettingsError
from rag_app.settings import Settings, override, read_recipe
from retrieval import published
from retrieval.published import TASKS

_STAGES: Final = (("retrieval", "retriever"), ("rewrite", "kind"), ("rerank", "kind"))
"""What a recipe must name, so that no other layer of settings decides it."""


@dataclass(frozen=True)
class Expected:
    """A published number, see `retrieval.published`.

    Attributes:
        dataset: as evaluation calls it; ``bright`` is the mean of all tasks.
        comparable: whether it is of the recipe itself, not of a relative.
    """

    dataset: str
    value: float
    source: str
    note: str
    comparable: bool
    metric: str = "ndcg@10"


class _About(BaseModel):
    """The table ``recipe`` of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    queries: str = Field(min_length=1)
    needs: tuple[str, ...] = Field(min_length=1)
    differs: str = Field(min_length=1)


@dataclass(frozen=True)
class Stage:
    """What a recipe does at one stage.

    Attributes:
        stage: as in traces; ``fuse`` is told apart from ``retrieve``.
    """

    stage: str
    kind: str
    details: Mapping[str, str | int | float]


@dataclass(frozen=True)
class Recipe:
    """A published pipeline.

    Attributes:
        queries: which queries of the data set it searches with: ``original``, or a table of
            rewritten ones, such as ``gpt4_reason``.
        needs: models with their memory, servers, queries, keys.
        differs: where our run differs from the published one.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    queries: str
    expected: tuple[Expected, ...]
    needs: tuple[str, ...]
    differs: str

    def expected_for(self, dataset: str) -> list[Expected]:
        """The numbers that a run on a data set may be held to; none where none was published.

        Args:
            dataset: ``bright`` for the mean of all tasks, or ``bright:TASK``; a task may be written
                with hyphens, and ``@QUERIES`` may follow, which must then be the recipe's.
        """
        name, at, queries = dataset.partition("@")
        if at and queries.removesuffix("_reason") != self.queries.removesuffix("_reason"):
            return []
        wanted = name.replace("-", "_")
        return [one for one in self.expected if one.dataset == wanted and one.comparable]

    def stages(self) -> list[Stage]:
        """The stages in their order, those left away included."""
        settings = override(Settings(), self.settings)
        return [_rewrite(settings), *_retrieve(settings), _rerank(settings)]

    @property
    def restricted(self) -> bool:
        """Whether the licence of its encoder must be accepted first."""
        settings = override(Settings(), self.settings)
        return _reads(settings) and choose(settings).row.restricted

    @property
    def command(self) -> str:
        """What runs it on a task of BRIGHT."""
        accept = " --accept-license" if self.restricted else ""
        return (
            f"rag-app{accept} --recipe {self.name} eval retrieval bright:biology --out {self.name}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "queries": self.queries,
            "stages": [
                {"stage": one.stage, "kind": one.kind, **one.details} for one in self.stages()
            ],
            "expected": [asdict(one) for one in self.expected],
            "needs": list(self.needs),
            "differs": self.differs,
            "run": self.command,
            "settings": dict(self.settings),
        }


@cache
def load(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        SettingsError: there is none, or its file is not valid; the message names what is wrong.
    """
    return parse(name, read_recipe(name))


def parse(name: str, tree: Mapping[str, Any]) -> Recipe:
    """The recipe that a file holds.

    Raises:
        SettingsError: a key is unknown or missing, a value is bad, or a stage is left open.
    """
    fields = tree.get("recipe")
    settings = {key: value for key, value in tree.items() if key != "recipe"}
    try:
        about = _About.model_validate(fields)
    except ValidationError as error:
        problems = (
            f"recipe.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise SettingsError(f"recipe {name} is not valid", cause="; ".join(problems)) from None
    choose(override(Settings(), settings))
    for section, key in _STAGES:
        if key not in settings.get(section, {}):
            raise SettingsError(f"recipe {name} is not valid", cause=f"{section}.{key} is not set")
    return Recipe(
        name=name,
        title=about.title,
        settings=MappingProxyType(settings),
        queries=about.queries,
        expected=tuple(_expected(name)),
        needs=about.needs,
        differs=" ".join(about.differs.split()),
    )


def _expected(name: str) -> Iterator[Expected]:
    for one in published.of_recipe(name):
        for dataset, value in one.values.items():
            yield Expected(dataset, value, one.source, one.note, one.comparable)


def for_task(settings: Settings, task: str) -> Settings:
    """Settings in which encoder and reranker know the task, as far as they have words for it.

    What the settings say of it already stays.

    Args:
        task: BRIGHT's slug, with ``_long`` behind it for long documents; any other changes nothing.

    Raises:
        SettingsError: there is no such encoder.
    """
    choice, short = choose(settings), task.removesuffix("_long")
    asked = choice.run.instruction is not None or choice.run.task
    words = {"task": task} if task in choice.row.instructions and not asked else {}
    defined = {"definition": short} if short in TASKS and not settings.rerank.definition else {}
    return override(settings, {"encoder": words, "rerank": defined})


def _rewrite(settings: Settings) -> Stage:
    chosen = settings.rewrite
    if chosen.kind == "none":
        return Stage("rewrite", "none", {})
    details: dict[str, str | int | float] = {
        "model": chosen.llm.model or settings.llm.model,
        "tokens": chosen.tokens,
        "rewrites": chosen.rewrites,
        "rounds": chosen.rounds,
        "keep_original": chosen.keep_original,
        "combine": chosen.combine,
    }
    return Stage("rewrite", chosen.kind, details)


def _retrieve(settings: Settings) -> list[Stage]:
    chosen, details = settings.retrieval, dict[str, str | int | float]()
    if _reads(settings):
        details["encoder"] = settings.encoder.model or choose(settings).row.model_id
    if chosen.retriever != "hybrid":
        return [Stage("retrieve", chosen.retriever, {**details, "top_k": chosen.top_k})]
    fused = {"weight": chosen.weight} if chosen.fusion.startswith("minmax") else {}
    details["candidates"] = chosen.candidates
    return [Stage("retrieve", "hybrid", details), Stage("fuse", chosen.fusion, fused)]


def _rerank(settings: Settings) -> Stage:
    chosen = settings.rerank
    if chosen.kind == "none":
        return Stage("rerank", "none", {})
    details: dict[str, str | int | float] = {
        "model": chosen.llm.model or settings.llm.model,
        "candidates": chosen.candidates,
    }
    if chosen.kind == "retro-star":
        details["samples"] = chosen.samples
        details |= {"finalists": chosen.finalists} if chosen.finalists else {}
    return Stage("rerank", chosen.kind, details)


def _reads(settings: Settings) -> bool:
    """Whether an encoder takes part."""
    return settings.retrieval.retriever in ("dense", "hybrid")
