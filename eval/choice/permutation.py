"""In which order choices are shown: the same in every arm, and on every machine."""

import hashlib


def permutation(seed: int, question: str, choices: int, repeat: int = 0) -> tuple[int, ...]:
    """Shown position -> index in the data set.

    The digits of sha256("seed:question") in the factorial number system drive a Fisher-Yates
    shuffle (Knuth, TAOCP 2, 3.4.2), so no version of any random generator is a part of it. Every
    further repeat shifts the choices by one, so that after as many repeats as there are choices
    each has stood in every place.
    """
    number = digest(f"{seed}:{question}")
    order = list(range(choices))
    for last in range(choices - 1, 0, -1):
        number, chosen = divmod(number, last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    shift = repeat % choices
    return tuple(order[shift:] + order[:shift])


def digest(text: str) -> int:
    """sha256 as a number; what decides in place of chance."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest(), "big")
