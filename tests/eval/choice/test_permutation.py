"""Orders of choices are fixed by seed, question and repeat, and are fair."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from eval.choice.permutation import permutation

SEEDS, IDS = st.integers(), st.text()
SIZES, REPEATS = st.integers(2, 26), st.integers(0, 50)


@given(SEEDS, IDS, SIZES, REPEATS)
def test_every_choice_is_shown_once(seed, question, size, repeat):
    assert sorted(permutation(seed, question, size, repeat)) == list(range(size))


@given(SEEDS, IDS, SIZES)
def test_repeats_put_every_choice_into_every_place(seed, question, size):
    shown = [permutation(seed, question, size, repeat) for repeat in range(size)]
    assert all(sorted(places) == list(range(size)) for places in zip(*shown, strict=True))
    assert permutation(seed, question, size, size) == shown[0]


def test_orders_are_the_same_on_every_machine():
    assert permutation(0, "q1", 4) == (0, 3, 2, 1)
    assert permutation(0, "q1", 4, repeat=1) == (3, 2, 1, 0)
    assert permutation(1, "q1", 4) != permutation(0, "q1", 4)


def test_all_orders_are_about_equally_frequent():
    seen = Counter(permutation(7, str(n), 4) for n in range(24_000))
    assert len(seen) == 24
    assert all(850 < count < 1150 for count in seen.values())  # 1000 +- 5 standard deviations
