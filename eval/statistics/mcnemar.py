"""McNemar's test: do two ways of answering the same questions differ in how many are right?"""


def exact_mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p value (McNemar, Psychometrika 1947, with the binomial distribution).

    Only questions that one way got right and the other wrong say anything; were both ways equally
    good, each such question would be a fair coin. p = min(1, 2 P(X <= min(gained, lost))) with
    X ~ Binomial(gained + lost, 1/2).

    Args:
        gained: questions that only the second way got right.
        lost: questions that only the first way got right.

    Raises:
        ValueError: a count is below 0.
    """
    from scipy import special

    if gained < 0 or lost < 0:
        raise ValueError(f"counts are {gained} and {lost}; they must not be below 0")
    return min(1.0, 2.0 * float(special.bdtr(min(gained, lost), gained + lost, 0.5)))
