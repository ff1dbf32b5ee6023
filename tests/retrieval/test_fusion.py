"""The laws of fusion: no list order lost, no undeserved credit, no surprise."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import FusionError
from retrieval.fusion import (
    Fusion,
    MinMaxFusion,
    NoFusion,
    ObservedMinMaxFusion,
    ReciprocalRankFusion,
    Scored,
)

CHUNKS = st.sampled_from([f"c{n}" for n in range(12)])
DENSE_SCORES = st.integers(-100, 100).map(lambda n: n / 100)
SPARSE_SCORES = st.integers(1, 3000).map(lambda n: n / 100)
WEIGHTS = st.integers(0, 10).map(lambda n: n / 10)


def best_first(scores: dict[str, float]) -> list[Scored]:
    return sorted(scores.items(), key=lambda hit: (-hit[1], hit[0]))


DENSE = st.dictionaries(CHUNKS, DENSE_SCORES, max_size=12).map(best_first)
SPARSE = st.dictionaries(CHUNKS, SPARSE_SCORES, max_size=12).map(best_first)
FUSIONS = st.one_of(
    st.integers(0, 100).map(ReciprocalRankFusion),
    WEIGHTS.map(MinMaxFusion),
    WEIGHTS.map(lambda weight: MinMaxFusion(weight, floor=0.7)),
    WEIGHTS.map(ObservedMinMaxFusion),
)
BOTH = [ReciprocalRankFusion(), MinMaxFusion(), ObservedMinMaxFusion()]


def ids(hits: list[Scored]) -> list[str]:
    return [chunk for chunk, _ in hits]


# --- laws of every fusion --------------------------------------------------------------------


@given(FUSIONS, DENSE, SPARSE)
def test_result_is_sorted_by_score_then_id_without_duplicates(fusion: Fusion, dense, sparse):
    fused = fusion.fuse(dense, sparse)
    assert fused == best_first(dict(fused))
    assert len(set(ids(fused))) == len(fused)
    assert all(math.isfinite(score) for _, score in fused)


@given(
    st.one_of(
        st.integers(0, 100).map(ReciprocalRankFusion),
        st.just(MinMaxFusion()),
        st.just(ObservedMinMaxFusion()),
    ),
    DENSE,
    SPARSE,
)
def test_every_chunk_of_either_list_is_kept_and_no_other(fusion: Fusion, dense, sparse):
    assert set(ids(fusion.fuse(dense, sparse))) == set(ids(dense)) | set(ids(sparse))


@given(FUSIONS, DENSE, SPARSE)
def test_a_chunk_at_least_as_good_on_both_sides_does_not_score_less(fusion, dense, sparse):
    fused = dict(fusion.fuse(dense, sparse))
    in_dense = {chunk: -place for place, chunk in enumerate(ids(dense))}
    in_sparse = {chunk: -place for place, chunk in enumerate(ids(sparse))}
    for one, score in fused.items():
        for other, lesser in fused.items():
            if all(side.get(one, -99) >= side.get(other, -99) for side in (in_dense, in_sparse)):
                assert score >= lesser - 1e-9


@given(FUSIONS, DENSE, SPARSE, st.lists(CHUNKS, max_size=5))
def test_sparse_hits_that_share_no_term_get_no_credit(fusion, dense, sparse, chunks):
    worthless = [(chunk, 0.0) for chunk in chunks] + [("x", -1.0)]
    assert fusion.fuse(dense, sparse + worthless) == fusion.fuse(dense, sparse)


@given(FUSIONS, DENSE, SPARSE)
def test_a_repeated_chunk_counts_once_where_it_is_first(fusion, dense, sparse):
    again = [(chunk, score / 2) for chunk, score in dense if score > 0]
    assert fusion.fuse(dense + again, sparse + sparse) == fusion.fuse(dense, sparse)


@given(FUSIONS, DENSE, SPARSE, st.permutations(range(12)))
def test_names_of_chunks_do_not_matter_beyond_ties(fusion, dense, sparse, order):
    renamed = {f"c{old}": f"c{new}" for old, new in enumerate(order)}
    other = fusion.fuse(
        [(renamed[chunk], score) for chunk, score in dense],
        [(renamed[chunk], score) for chunk, score in sparse],
    )
    fused = dict(fusion.fuse(dense, sparse))
    assert dict(other) == {renamed[chunk]: score for chunk, score in fused.items()}


@given(DENSE, SPARSE, WEIGHTS, st.randoms())
def test_minmax_looks_at_scores_alone(dense, sparse, weight, random):
    fusion = MinMaxFusion(weight)
    expected = fusion.fuse(dense, sparse)
    random.shuffle(dense)
    random.shuffle(sparse)
    assert fusion.fuse(dense, sparse) == expected


@given(DENSE)
def test_one_side_alone_keeps_its_order(dense):
    for fusion in [*BOTH, NoFusion()]:
        assert [chunk for chunk, _ in fusion.fuse(dense, [])] == ids(dense)


@given(SPARSE)
def test_the_other_side_alone_keeps_its_order(sparse):
    for fusion in [*BOTH, NoFusion()]:
        assert [chunk for chunk, _ in fusion.fuse([], sparse)] == ids(sparse)


@given(DENSE, SPARSE)
def test_the_whole_weight_on_one_side_is_that_side(dense, sparse):
    for kind in (MinMaxFusion, ObservedMinMaxFusion):
        assert ids(kind(1).fuse(dense, sparse)) == ids(dense)
        assert ids(kind(0).fuse(dense, sparse)) == ids(sparse)


@given(SPARSE, DENSE, WEIGHTS, st.integers(1, 1000))
def test_the_scale_of_sparse_scores_does_not_matter(sparse, dense, weight, factor):
    scaled = [(chunk, score * factor) for chunk, score in sparse]
    one, other = (dict(MinMaxFusion(weight).fuse(dense, side)) for side in (sparse, scaled))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("fusion", [*BOTH, NoFusion()])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(fusion, score):
    with pytest.raises(FusionError, match=r"Passage b has the score .*Check the encoder"):
        fusion.fuse([("a", 1.0), ("b", score)], [])
    with pytest.raises(FusionError, match="Passage b"):
        fusion.fuse([], [("a", 1.0), ("b", score), ("b", 1.0)])


@pytest.mark.parametrize("fusion", [*BOTH, NoFusion()])
def test_nothing_fuses_to_nothing(fusion):
    assert fusion.fuse([], []) == []


# --- numbers worked out by hand --------------------------------------------------------------


def test_reciprocal_ranks_add_up():
    fused = ReciprocalRankFusion(k=60).fuse([("a", 0.9), ("b", 0.8)], [("b", 7.0), ("c", 3.0)])
    assert fused == [("b", 1 / 62 + 1 / 61), ("a", 1 / 61), ("c", 1 / 62)]


def test_minmax_adds_the_shares_of_scores_in_units_of_each_lists_mark():
    # marks: (0.8 + 0.4) / 2 = 0.6 and (10 + 5) / 2 = 7.5
    fused = MinMaxFusion(0.6).fuse([("a", 0.8), ("b", 0.4)], [("b", 10.0), ("a", 5.0)])
    assert fused == [
        ("a", pytest.approx(0.6 * 0.8 / 0.6 + 0.4 * 5 / 7.5)),
        ("b", pytest.approx(0.6 * 0.4 / 0.6 + 0.4 * 10 / 7.5)),
    ]


def test_the_mark_is_the_mean_of_the_best_twenty():
    dense = [(f"c{n:02}", 0.9) for n in range(5)] + [(f"c{n:02}", 0.5) for n in range(5, 20)]
    (_, best), *_ = MinMaxFusion(1.0).fuse([*dense, *((f"x{n}", 0.1) for n in range(50))], [])
    assert best == pytest.approx(0.9 / 0.6)


def test_minmax_takes_a_missing_chunk_for_the_last_of_the_list_that_was_cut_off():
    fused = dict(MinMaxFusion(0.5).fuse([("a", 0.8), ("b", 0.4)], [("c", 10.0), ("b", 4.0)]))
    last_dense, last_sparse = 0.4 / 0.6, 4 / 7
    assert fused["a"] == pytest.approx(0.5 * (0.8 / 0.6 + last_sparse))
    assert fused["c"] == pytest.approx(0.5 * (last_dense + 10 / 7))


def test_minmax_gives_nothing_for_missing_a_sparse_list_that_was_not_cut_off():
    fused = dict(MinMaxFusion(0.5).fuse([("a", 0.8), ("b", 0.4)], [("c", 10.0)]))
    assert fused["a"] == pytest.approx(0.5 * 0.8 / 0.6)
    assert fused["c"] == pytest.approx(0.5 * (0.4 / 0.6 + 1))


def test_minmax_measures_cosines_from_the_floor():
    fused = MinMaxFusion(1.0, floor=0.6).fuse([("a", 0.9), ("b", 0.8)], [])
    assert fused == [("a", pytest.approx(0.3 / 0.25)), ("b", pytest.approx(0.2 / 0.25))]


def test_minmax_does_not_blow_up_differences_between_unrelated_chunks():
    fused = MinMaxFusion(1.0).fuse([("a", 0.01), ("b", -0.01)], [])
    assert fused == [("a", pytest.approx(0.1)), ("b", pytest.approx(-0.1))]


def test_a_single_hit_on_each_side_gets_its_share_and_no_less():
    assert MinMaxFusion(0.6).fuse([("a", 0.3)], [("b", 2.0)]) == [
        ("a", pytest.approx(1.0)),
        ("b", pytest.approx(1.0)),
    ]
    assert MinMaxFusion(0.6).fuse([("a", 0.3)], [("a", 2.0)]) == [("a", pytest.approx(1.0))]


def test_observed_minmax_spans_each_list_from_its_lowest_to_its_highest():
    dense, sparse = [("a", 0.8), ("b", 0.6), ("c", 0.4)], [("b", 9.0), ("d", 3.0), ("a", 1.0)]
    assert ObservedMinMaxFusion(0.75).fuse(dense, sparse) == [
        ("a", pytest.approx(0.75 * 1 + 0.25 * 0)),
        ("b", pytest.approx(0.75 * 0.5 + 0.25 * 1)),
        ("d", pytest.approx(0.25 * 0.25)),
        ("c", 0.0),
    ]


def test_observed_minmax_holds_equal_scores_for_the_highest():
    fused = ObservedMinMaxFusion(0.5).fuse([("a", 0.3)], [("b", 2.0), ("c", 2.0)])
    assert fused == [("a", 0.5), ("b", 0.5), ("c", 0.5)]


@given(DENSE, SPARSE, WEIGHTS)
def test_observed_minmax_is_the_published_formula(dense, sparse, weight):
    def scaled(hits):
        scores = dict(hits)
        if len(set(scores.values())) <= 1:
            return dict.fromkeys(scores, 1.0)
        low, high = min(scores.values()), max(scores.values())
        return {chunk: (score - low) / (high - low) for chunk, score in scores.items()}

    near, shared = scaled(dense), scaled(sparse)
    for chunk, score in ObservedMinMaxFusion(weight).fuse(dense, sparse):
        expected = weight * near.get(chunk, 0.0) + (1 - weight) * shared.get(chunk, 0.0)
        assert score == pytest.approx(expected)


def test_none_refuses_two_lists_and_says_what_to_choose():
    with pytest.raises(FusionError, match=r"'none'.*'rrf' or 'minmax'"):
        NoFusion().fuse([("a", 1.0)], [("b", 1.0)])


@pytest.mark.parametrize("k", [-1, math.inf, math.nan])
def test_rrf_refuses_a_k_out_of_range(k):
    with pytest.raises(ValueError, match="k is"):
        ReciprocalRankFusion(k)


@pytest.mark.parametrize("arguments", [{"weight": 1.1}, {"weight": math.nan}, {"floor": 1.0}])
def test_minmax_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        MinMaxFusion(**arguments)


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_observed_minmax_refuses_a_weight_out_of_range(weight):
    with pytest.raises(ValueError, match="weight"):
        ObservedMinMaxFusion(weight)


@pytest.mark.parametrize("fusion", BOTH)
def test_fusing_two_hundred_candidates_takes_a_fraction_of_a_millisecond(fusion):
    dense = [(f"{n:036}", 1 - n / 200) for n in range(100)]
    sparse = [(f"{n:036}", 100.0 - n) for n in range(50, 150)][:100]
    took = []
    for _ in range(200):
        start = time.perf_counter()
        fusion.fuse(dense, sparse)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.0003
