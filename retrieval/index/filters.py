"""LlamaIndex's metadata filters, as conditions that either engine can check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from retrieval.passages import CUSTOM, METADATA_KEYS

_BOUNDS = {
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition on one stored value, or on any item of a stored list.

    Attributes:
        path: where the value lies in the payload.
        kind: whether it is one of `values`, lies within `bounds`, or is absent.
        values: strings, whole numbers or truth values.
        bounds: any of gt, gte, lt and lte.
    """

    path: str
    kind: Literal["any", "range", "empty"]
    values: tuple[Any, ...] = ()
    bounds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that must all hold (and), of which one must (or), or none may (not)."""

    how: Literal["and", "or", "not"]
    parts: "tuple[Leaf | Group, ...]"


def parse_filters(filters: MetadataFilters) -> Group:
    """The tree of conditions that the filters mean.

    A key is one of the metadata that a node was given, or one of `METADATA_KEYS`. An empty list of
    filters holds for every passage.

    Raises:
        ValueError: an operator is not offered, or its value is of the wrong type; filters are never
            ignored.
    """
    condition = filters.condition or FilterCondition.AND
    how: dict[FilterCondition, Literal["and", "or", "not"]] = {
        FilterCondition.AND: "and",
        FilterCondition.OR: "or",
        FilterCondition.NOT: "not",
    }
    parts = tuple(
        parse_filters(one) if isinstance(one, MetadataFilters) else _parse(one)
        for one in filters.filters
    )
    return Group(how[condition] if parts else "and", parts)


def _parse(one: MetadataFilter) -> "Leaf | Group":
    makers: dict[FilterOperator, Callable[[], Leaf | Group]] = {
        FilterOperator.EQ: lambda: _equal(one.key, [one.value]),
        FilterOperator.CONTAINS: lambda: _equal(one.key, [one.value]),
        FilterOperator.NE: lambda: Group("not", (_equal(one.key, [one.value]),)),
        FilterOperator.IN: lambda: _equal(one.key, _listed(one)),
        FilterOperator.ANY: lambda: _equal(one.key, _listed(one)),
        FilterOperator.NIN: lambda: Group("not", (_equal(one.key, _listed(one)),)),
        FilterOperator.ALL: lambda: Group(
            "and", tuple(_equal(one.key, [each]) for each in _listed(one))
        ),
        FilterOperator.IS_EMPTY: lambda: Group(
            "and", tuple(Leaf(path, "empty") for path in _paths(one.key))
        ),
        **dict.fromkeys(_BOUNDS, lambda: _bounded(one)),
    }
    if one.operator not in makers:
        problem = f"operator {one.operator.value}, which is not offered"
        raise ValueError(f"the filter on {one.key!r} has {problem}")
    return makers[one.operator]()


def _bounded(one: MetadataFilter) -> "Leaf | Group":
    if isinstance(one.value, bool) or not isinstance(one.value, int | float):
        raise ValueError(f"the filter on {one.key!r} compares with {one.value!r}, not a number")  # noqa: TRY004
    return _either(one.key, "range", bounds=((_BOUNDS[one.operator], float(one.value)),))


def _equal(key: str, values: Sequence[Any]) -> "Leaf | Group":
    for value in values:
        if not isinstance(value, str | int | float):
            raise ValueError(f"the filter on {key!r} compares with {value!r}")  # noqa: TRY004
    exact = tuple(value for value in values if not isinstance(value, float))
    parts = [_either(key, "any", exact)] if exact else []
    parts += [
        _either(key, "range", bounds=(("gte", value), ("lte", value)))
        for value in values
        if isinstance(value, float)
    ]
    return parts[0] if len(parts) == 1 else Group("or", tuple(parts))


def _either(
    key: str,
    kind: Literal["any", "range"],
    values: tuple[Any, ...] = (),
    bounds: tuple[tuple[str, float], ...] = (),
) -> "Leaf | Group":
    leaves = tuple(Leaf(path, kind, values, bounds) for path in _paths(key))
    return leaves[0] if len(leaves) == 1 else Group("or", leaves)


def _paths(key: str) -> list[str]:
    """Where values of a key may lie: a node may have been given one of our own keys."""
    if '"' in key:
        raise ValueError(f"the key {key!r} of a filter has a quotation mark")
    return [*([key] if key in METADATA_KEYS else []), f'{CUSTOM}."{key}"']


def _listed(one: MetadataFilter) -> list[Any]:
    if not isinstance(one.value, list):
        raise ValueError(f"the filter on {one.key!r} needs a list")  # noqa: TRY004
    return one.value
