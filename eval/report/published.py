"""Published numbers to put beside ours, from the table that ships with this package."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """A number of others.

    Attributes:
        system: as its authors call it.
        value: nDCG@10 (0 to 1), or a relative gain in percent.
        source: who published it, and where.
        differs: how its protocol differs from ours, a sentence each; empty where it does not.
        pipelines: names of the systems of ours that do the same.
    """

    system: str
    value: float
    source: str
    differs: Sequence[str] = ()
    pipelines: frozenset[str] = frozenset()


def retrieval(dataset: str) -> list[Published]:
    """nDCG@10 of others on a data set, the best first.

    Args:
        dataset: its name, such as ``beir:scifact``, ``beir:/data/scifact`` or ``bright:biology``.
    """
    form, _, rest = dataset.partition("@")[0].partition(":")
    key = f"{form}:{_last(rest) or 'all'}"
    found = [
        Published(
            row["system"],
            row["ndcg_at_10"][key],
            row["source"],
            (row["differs"],) if "differs" in row else (),
            frozenset(row["pipelines"]),
        )
        for row in _table()["retrieval"]
        if key in row["ndcg_at_10"]
    ]
    return sorted(found, key=lambda number: (-number.value, number.system))


def choice(dataset: str) -> list[Published]:
    """Relative gains over a closed book of others on a data set."""
    return [
        Published(row["system"], row["relative_percent"][dataset], row["source"], row["differs"])
        for row in _table()["choice"]
        if dataset in row["relative_percent"]
    ]


def is_same(number: Published, system: str, encoder: str, dataset: str = "") -> bool:
    """Whether a system of ours does what the number was had with.

    Args:
        number: the published one.
        system: name of ours.
        encoder: the settings' own, which a name without one means.
        dataset: what it was run on; ``bright:biology@gpt4_reason`` has queries that are rewritten
            already.
    """
    named = re.sub(r"^(dense|hybrid)(?=\+|$)", rf"\1@{encoder}", system)
    if "@" in dataset and "+rewrite" not in named:
        retriever, plus, rest = named.partition("+")
        named = f"{retriever}+rewrite{plus}{rest}"
    return named in number.pipelines


def _last(name: str) -> str:
    return re.sub(r"[\s-]", "_", name.rstrip("/\\").replace("\\", "/").rpartition("/")[2]).lower()


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((files("eval.report") / "published.toml").read_text(encoding="utf-8"))
