"""Which means of several runs differ by more than chance: Student's t with the spread of all runs together."""

import math
from collections.abc import Sequence
from statistics import fmean

# Two candidates with equal expectations are called different in one of twenty comparisons.
CONFIDENCE = 0.95


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample (n - 1); None of fewer than two values."""
    return pooled([values])[0] if len(values) > 1 else None


def pooled(groups: Sequence[Sequence[float]]) -> tuple[float | None, int]:
    """Return the standard deviation within groups, pooled, and its degrees of freedom; None if no group has two."""
    degrees = sum(len(group) - 1 for group in groups if group)
    if not degrees:
        return None, 0
    squares = sum((value - fmean(group)) ** 2 for group in groups if group for value in group)
    return math.sqrt(squares / degrees), degrees


def ties(groups: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> list[list[bool]] | None:
    """Return which means of groups, none of them empty, may differ by chance alone; None if no spread is known.

    Two means tie if |difference| < t * s * sqrt(1/n1 + 1/n2), where s is the pooled standard deviation and t the
    quantile of Student's distribution for its degrees of freedom (Fisher's least significant difference). Each pair is
    tested by itself: with many candidates, some differences that are called clear are chance.
    """
    deviation, degrees = pooled(groups)
    if deviation is None:
        return None
    t = t_quantile(confidence, degrees)

    def tie(one: Sequence[float], other: Sequence[float]) -> bool:
        limit = t * deviation * math.sqrt(1 / len(one) + 1 / len(other))
        # Equal means tie also if no run differs from another.
        return abs(fmean(one) - fmean(other)) <= limit

    return [[one is other or tie(one, other) for other in groups] for one in groups]


def t_quantile(confidence: float, degrees: int) -> float:
    """Return the t that |Student's t| exceeds with a probability of 1 - `confidence` (0 to 1, both excluded)."""
    low, high = 0.0, 1.0
    while within(high, degrees) < confidence:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def within(t: float, degrees: int) -> float:
    """Return the probability that |Student's t| is at most `t`, exactly (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    # The sum of cos^k, each with the product of (j - 1) / j over the exponents j before it.
    term, total = cosine if odd else 1.0, 0.0
    for exponent in range(3 if odd else 2, degrees + 1, 2):
        total += term
        term *= cosine**2 * (exponent - 1) / exponent
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
