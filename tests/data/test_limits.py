"""Bounds on one file."""

import pytest

from data.limits import MIB, Limits


@pytest.mark.parametrize("field", ["max_file_bytes", "max_pages", "seconds", "memory_bytes"])
def test_a_limit_must_be_above_zero(field):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


def test_larger_files_may_take_longer():
    limits = Limits(seconds=10, seconds_per_mib=2)
    assert limits.budget(0) == 10
    assert limits.budget(3 * MIB) == 16
    assert limits.patience(3 * MIB) == 64
    longer = Limits(encode_seconds=10, encode_seconds_per_mib=2)
    assert longer.encoding(3 * MIB) == 16


@pytest.mark.parametrize(
    ("size", "characters"),
    [(1, 2_000_000), (20_000, 4_000_000), (10**6, 10**8), (10**8, 2 * 10**8)],
)
def test_passages_hold_a_multiple_of_the_file(size, characters):
    assert Limits().passage_characters(size) == characters
