"""Ranges of arguments, checked alike everywhere: each raises ValueError, naming what is wrong."""


def at_least(least: float, **values: float) -> None:
    """Every value is `least` or more."""
    for name, value in values.items():
        if not value >= least:  # which NaN is not either
            raise ValueError(f"{name} is {value}; it must be {least} or more")


def above_zero(**values: float) -> None:
    """Every value is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0")


def within(low: float, high: float, **values: float) -> None:
    """Every value lies from `low` to `high`."""
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; it must be from {low} to {high}")
