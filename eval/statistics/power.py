"""How small a difference a paired comparison of two shares can find."""

import math
from statistics import NormalDist

from data.arguments import at_least


def minimum_detectable_effect(
    n: int, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Smallest true difference of two paired shares that McNemar's test finds with this power.

    (z[1 - alpha/2] + z[power]) sqrt(discordance / n): the normal approximation of Miettinen
    (Biometrics 1968) and Connor (Biometrics 1987) with `discordance` as the variance under the
    alternative too. They have discordance - effect**2 there, which gives a slightly smaller effect
    (by 0.6 % for n = 198); the exact test, being discrete, needs a slightly larger one. Fewer than
    ceil(1 - log2(alpha)) discordant pairs (6 for 0.05) never reach alpha, whatever their direction,
    so the result is no less than that many of n.

    Args:
        discordance: share of pairs of which just one is right, measured or assumed.

    Returns:
        A share (0.077 is 7.7 points), at most 1.

    Raises:
        ValueError: there are no pairs, or a share is none.
    """
    at_least(1, n=n)
    if not (0 <= discordance <= 1 and 0 < power < 1 and 0 < alpha < 1):
        raise ValueError("discordance, power and alpha must be shares")
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    fewest = math.ceil(1 - math.log2(alpha))
    return min(1.0, max(quantiles * math.sqrt(discordance / n), fewest / n))
