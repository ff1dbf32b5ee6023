"""Published numbers with their sources: what encoders, recipes, reports and documentation show."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

STACK_EXCHANGE: Final = (
    "biology", "earth_science", "economics", "psychology", "robotics", "stackoverflow",
    "sustainable_living",
)  # fmt: skip
"""BRIGHT's tasks whose queries are posts of Stack Exchange."""

TASKS: Final = (
    *STACK_EXCHANGE, "leetcode", "pony", "aops", "theoremqa_questions", "theoremqa_theorems",
)  # fmt: skip
"""BRIGHT's, in the order of its leaderboard and of the lists ``tasks`` in the table."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str = Field(min_length=1, description="as its authors call it")
    source: str = Field(min_length=1, description="who published it, and where")


class PublishedRetrieval(_Row):
    """nDCG@10 of a pipeline, as a share of 1."""

    pipelines: tuple[str, ...] | None = Field(
        None, description="systems that do the same; None keeps it out of reports"
    )
    recipe: str = Field("", description="the recipe that should reach it")
    comparable: bool = Field(True, description="whether it is of the recipe itself, no relative")
    note: str = Field("", description="how far it is to be trusted")
    differs: str = Field("", description="how its protocol differs from ours")
    bright: float | None = Field(None, gt=0, lt=1, description="mean of BRIGHT's tasks")
    tasks: tuple[float, ...] = Field((), description="the numbers of `TASKS`")
    beir: Mapping[str, float] = Field(default_factory=dict, description="by data set of BEIR")

    @model_validator(mode="after")
    def _all_tasks(self) -> "PublishedRetrieval":
        if self.tasks and len(self.tasks) != len(TASKS):
            raise ValueError(f"tasks has {len(self.tasks)} numbers, not {len(TASKS)}")
        return self

    @property
    def values(self) -> dict[str, float]:
        """Data set, such as ``bright``, ``bright:biology`` or ``beir:scifact``, to number."""
        mean = {} if self.bright is None else {"bright": self.bright}
        tasks = zip(TASKS, self.tasks, strict=True) if self.tasks else ()
        return {
            **mean,
            **{f"bright:{task}": value for task, value in tasks},
            **{f"beir:{name}": value for name, value in self.beir.items()},
        }

    def is_of(self, system: str, encoder: str, dataset: str = "") -> bool:
        """Whether a system of ours does what the number was measured with.

        Args:
            system: name of ours.
            encoder: that of the settings, which a name without one means.
            dataset: what it was run on; ``bright:biology@gpt4_reason`` has queries that are
                rewritten already.
        """
        name = re.sub(r"^(dense|hybrid)(?=\+|$)", rf"\1@{encoder}", system)
        if "@" in dataset and "+rewrite" not in name:
            retriever, plus, rest = name.partition("+")
            name = f"{retriever}+rewrite{plus}{rest}"
        return name in (self.pipelines or ())


class PublishedGain(_Row):
    """Accuracy gained over a closed book, relative, in percent."""

    relative_percent: Mapping[str, float] = Field(description="by data set")
    differs: tuple[str, ...] = Field((), description="how its protocol differs, a sentence each")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    retrieval: tuple[PublishedRetrieval, ...]
    choice: tuple[PublishedGain, ...]


@cache
def table() -> _Table:
    """All that ship."""
    text = (files("retrieval") / "published.toml").read_text("utf-8")
    return _Table.model_validate(tomllib.loads(text))


def of_dataset(dataset: str) -> list[tuple[float, PublishedRetrieval]]:
    """What reports show beside ours on a data set, the best first.

    Args:
        dataset: its name, such as ``beir:scifact``, ``beir:/data/scifact``, ``bright:biology``, or
            ``bright`` for the mean.
    """
    form, colon, rest = dataset.partition("@")[0].partition(":")
    last = re.sub(r"[\s-]", "_", re.split(r"[/\\]", rest.rstrip("/\\"))[-1]).lower()
    key = f"{form}{colon}{last}"
    found = [
        (one.values[key], one)
        for one in table().retrieval
        if one.pipelines is not None and key in one.values
    ]
    return sorted(found, key=lambda number: (-number[0], number[1].system))


def of_recipe(name: str) -> Sequence[PublishedRetrieval]:
    """What a recipe should reach."""
    return [one for one in table().retrieval if one.recipe == name]


def of_encoder(name: str) -> tuple[float, str] | None:
    """The mean over BRIGHT of an encoder on the original queries, in percent, and its source."""
    for one in table().retrieval:
        if one.bright is not None and f"dense@{name}" in (one.pipelines or ()):
            return round(100 * one.bright, 1), one.source
    return None


def gains(dataset: str) -> list[tuple[float, PublishedGain]]:
    """Relative gains over a closed book of others on a data set."""
    found = table().choice
    return [
        (one.relative_percent[dataset], one) for one in found if dataset in one.relative_percent
    ]
