"""What several systems found for one question, and how much they agree."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.results import Hit, SearchResult, Trace
from rag_app.systems.comparison import compare, rank_biased_overlap

PLACES = st.lists(st.integers(0, 14), unique=True, max_size=12)
RANKINGS = PLACES.map(lambda places: [("a.txt", place) for place in places])
PERSISTENCES = st.sampled_from([0.5, 0.9, 0.98])


def hit(place: int, index: str = "", **fields: object) -> Hit:
    values: dict = {
        "passage_id": f"{index}{place}", "source": "a.txt", "page": None, "char_start": place,
        "char_end": place + 1, "text": f"passage {place}", "score": 1 / (place + 1),
        "ranks": {}, "scores": {},
    }  # fmt: skip
    return Hit(**{**values, **fields})


def result(places: Sequence[int], index: str = "") -> SearchResult:
    return SearchResult("q", [hit(place, index) for place in places], Trace())


# --- passages side by side -------------------------------------------------------------------


def test_the_same_place_is_the_same_passage_whatever_its_chunk_is_called() -> None:
    told = compare({"x": result([1, 2, 3], "x"), "y": result([3, 2, 9], "y")}, depth=3)
    ranks = {passage.char_start: passage.ranks for passage in told.passages}
    assert ranks == {1: {"x": 1}, 2: {"x": 2, "y": 2}, 3: {"x": 3, "y": 1}, 9: {"y": 3}}
    assert told.passages[0].char_start == 3, "the best of ranks first, then the best of sums"
    assert told.passages[0].scores == {"x": 0.25, "y": 0.25}
    (pair,) = told.overlap
    assert (pair.a, pair.b, pair.shared, pair.jaccard) == ("x", "y", 2, 0.5)
    assert pair.mean_rank_difference == 1.0


def test_a_passage_of_its_own_id_is_known_by_it() -> None:
    one = SearchResult("q", [hit(1, record_id="p")], Trace())
    other = SearchResult("q", [hit(7, record_id="p")], Trace())
    assert compare({"x": one, "y": other}, 10).overlap[0].shared == 1


def test_a_passage_found_twice_keeps_its_better_rank() -> None:
    told = compare({"x": result([1, 1, 2]), "y": result([2])}, 10)
    assert [passage.ranks for passage in told.passages] == [{"x": 3, "y": 1}, {"x": 1}]
    assert told.overlap[0].mean_rank_difference == 2


@pytest.mark.parametrize("field", [{"source": "b.txt"}, {"page": 2}, {"char_end": 99}])
def test_another_place_is_another_passage(field: dict) -> None:
    one, other = result([1]), SearchResult("q", [hit(1, **field)], Trace())
    assert compare({"x": one, "y": other}, 10).overlap[0].shared == 0


def test_ranks_beyond_the_depth_do_not_count() -> None:
    told = compare({"x": result([1, 2, 3]), "y": result([4, 5, 1])}, depth=2)
    assert told.overlap[0].shared == 0
    assert {passage.char_start for passage in told.passages} == {1, 2, 4, 5}


def test_every_pair_of_systems_is_compared() -> None:
    told = compare({name: result([1]) for name in "wxyz"}, 10)
    assert [(pair.a + pair.b) for pair in told.overlap] == ["wx", "wy", "wz", "xy", "xz", "yz"]


def test_systems_that_find_nothing_agree() -> None:
    told = compare({"x": result([]), "y": result([])}, 10)
    assert told.passages == []
    pair = told.overlap[0]
    assert (pair.shared, pair.jaccard, pair.rbo, pair.mean_rank_difference) == (0, 1.0, 1.0, None)


def test_a_comparison_is_one_json_document() -> None:
    told = json.loads(json.dumps(compare({"x": result([1]), "y": result([2])}, 5).as_dict()))
    assert set(told) == {"systems", "depth", "overlap", "passages"}
    assert set(told["systems"]["x"]) == {"hits", "trace"}
    assert set(told["overlap"][0]) == {"a", "b", "shared", "jaccard", "rbo", "mean_rank_difference"}
    assert told["passages"][0]["ranks"] == {"x": 1}


@given(PLACES, PLACES)
def test_overlap_does_not_depend_on_the_order_of_systems(a: list[int], b: list[int]) -> None:
    (one,) = compare({"x": result(a), "y": result(b)}, 10).overlap
    (other,) = compare({"y": result(b), "x": result(a)}, 10).overlap
    assert (one.shared, one.jaccard, one.mean_rank_difference) == (
        other.shared, other.jaccard, other.mean_rank_difference,
    )  # fmt: skip
    assert one.rbo == pytest.approx(other.rbo, abs=1e-12)
    assert 0 <= one.jaccard <= 1
    assert one.shared == len(set(a[:10]) & set(b[:10]))


@given(PLACES, PLACES)
def test_every_rank_of_every_system_is_shown_once(a: list[int], b: list[int]) -> None:
    told = compare({"x": result(a), "y": result(b)}, 10)
    for name, places in (("x", a), ("y", b)):
        shown = {p.ranks[name]: p.char_start for p in told.passages if name in p.ranks}
        assert [shown[rank] for rank in sorted(shown)] == places[:10]


# --- rank-biased overlap ---------------------------------------------------------------------


@given(RANKINGS, RANKINGS, PERSISTENCES)
def test_rank_biased_overlap_is_a_symmetric_share(a: list, b: list, p: float) -> None:
    value = rank_biased_overlap(a, b, p)
    assert 0 <= value <= 1
    assert value == pytest.approx(rank_biased_overlap(b, a, p), abs=1e-12)


@given(RANKINGS, PERSISTENCES)
def test_identical_rankings_overlap_wholly_and_disjoint_ones_not_at_all(a: list, p: float) -> None:
    assert rank_biased_overlap(a, a, p) == pytest.approx(1)
    elsewhere = [("b.txt", place) for _, place in a]
    assert rank_biased_overlap(a, elsewhere, p) == float(not a)


@given(RANKINGS.filter(lambda ranking: len(ranking) > 2))
def test_a_swap_costs_more_the_earlier_it_is(ranking: list) -> None:
    early = [ranking[1], ranking[0], *ranking[2:]]
    late = [*ranking[:-2], ranking[-1], ranking[-2]]
    assert rank_biased_overlap(ranking, early) < rank_biased_overlap(ranking, late)


@given(RANKINGS.filter(bool), RANKINGS.filter(bool))
def test_rank_biased_overlap_is_the_limit_of_its_definition(a: list, b: list) -> None:
    """The sum of (1-p) p^(d-1) times the agreement at d, which goes on as it is at the end."""
    size, p = max(len(a), len(b)), 0.9
    short, long = sorted((a, b), key=len)
    at_end = len(set(short) & set(long[: len(short)])) / len(short)
    total = 0.0
    for depth in range(1, 600):
        d = min(depth, size)
        seen = len(set(short[:d]) & set(long[:d])) + at_end * max(0, d - len(short))
        total += (1 - p) * p ** (depth - 1) * seen / d
    assert rank_biased_overlap(a, b, p) == pytest.approx(total, abs=1e-9)


def test_rank_biased_overlap_by_hand() -> None:
    """Rankings AB and AC: (1-p)/p (1 p + 1/2 p²) + 1/2 p², with p = 0.9."""
    expected = 0.1 / 0.9 * (0.9 + 0.5 * 0.81) + 0.5 * 0.81
    assert rank_biased_overlap([("A",), ("B",)], [("A",), ("C",)]) == pytest.approx(expected)
