"""Batches hold every text once, within the budget, and waste little."""

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.local.batching import cost, halves, padded, plan, windows

LENGTHS = st.lists(st.integers(1, 300), max_size=80)


@given(LENGTHS, st.integers(1, 1000))
def test_every_text_is_in_one_batch(lengths: list[int], budget: int) -> None:
    assert sorted(chain(*plan(lengths, budget))) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 1000))
def test_a_batch_keeps_to_the_budget_unless_one_text_exceeds_it(
    lengths: list[int], budget: int
) -> None:
    for batch in plan(lengths, budget):
        assert len(batch) == 1 or cost([lengths[at] for at in batch]) <= budget


@given(LENGTHS, st.integers(1, 1000))
def test_the_longest_come_first(lengths: list[int], budget: int) -> None:
    order = [lengths[at] for at in chain(*plan(lengths, budget))]
    assert order == sorted(lengths, reverse=True)


@given(LENGTHS, st.integers(1, 1000))
def test_no_batch_has_room_for_the_first_text_of_the_next(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget)
    for batch, following in pairwise(batches):
        assert cost([lengths[at] for at in [*batch, following[0]]]) > budget


def test_mixed_lengths_waste_under_a_tenth() -> None:
    lengths = [1 + (at * 7919) % 2048 for at in range(2000)]
    computed = sum(cost([lengths[at] for at in batch]) for batch in plan(lengths, 16_384))
    assert computed <= 1.1 * sum(lengths)


@given(st.integers(1, 5000), st.integers(1, 64))
def test_padding_goes_to_the_next_multiple(length: int, multiple: int) -> None:
    assert padded(length, multiple) % multiple == 0
    assert 0 <= padded(length, multiple) - length < multiple


@given(st.lists(st.integers(), min_size=2))
def test_halves_are_the_batch_in_order_and_differ_by_one_at_most(batch: list[int]) -> None:
    one, two = halves(batch)
    assert one + two == batch
    assert 0 <= len(one) - len(two) <= 1


@given(LENGTHS, st.integers(1, 20))
def test_windows_go_from_long_to_short(lengths: list[int], most: int) -> None:
    cut = list(windows(lengths, most))
    assert all(0 < len(window) <= most for window in cut)
    assert [lengths[at] for at in chain(*cut)] == sorted(lengths, reverse=True)
    assert sorted(chain(*cut)) == list(range(len(lengths)))
