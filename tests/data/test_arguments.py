import math

import pytest

from data.arguments import above_zero, at_least, within


def test_what_lies_within_its_range_passes():
    at_least(1, top_k=1, candidates=50)
    above_zero(deadline=0.1)
    within(0, 1, weight=0, b=1.0)


@pytest.mark.parametrize(
    ("check", "values", "message"),
    [
        (
            lambda **v: at_least(1, **v),
            {"top_k": 1, "turns": 0},
            "turns is 0; it must be 1 or more",
        ),
        (lambda **v: at_least(0, **v), {"k": math.nan}, "k is nan; it must be 0 or more"),
        (above_zero, {"deadline": 0}, "deadline is 0; it must be above 0"),
        (above_zero, {"deadline": math.nan}, "deadline is nan; it must be above 0"),
        (lambda **v: within(0, 1, **v), {"b": 1.1}, "b is 1.1; it must be from 0 to 1"),
        (lambda **v: within(0, 1, **v), {"b": math.nan}, "b is nan; it must be from 0 to 1"),
    ],
)
def test_what_does_not_is_named_with_its_range(check, values, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        check(**values)
