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
