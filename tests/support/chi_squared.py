"""Whether draws follow the probabilities that they should have."""

import numpy as np

from charrnn.inference.sampling import Sampling


def probabilities(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return what each id is drawn with, (..., vocab), float64; rows sum to 1."""
    unscaled = sampling.weights(logits.astype(np.float64))
    return unscaled / unscaled.sum(axis=-1, keepdims=True)


def follows(counts: np.ndarray, shares: np.ndarray) -> bool:
    """Return whether draws, counted, follow these shares: a chi-squared test that errs about once in a million.

    What has no share must not have been drawn at all.
    """
    expected = counts.sum() * shares / shares.sum()
    ascending = expected.argsort()
    # What is too rare for the approximation is counted together, with the next in number.
    rare = 1 + int((expected < 10).sum())
    observed, expected = (
        np.array([values[ascending[:rare]].sum(), *values[ascending[rare:]]]) for values in (counts, expected)
    )
    degrees = max(1, len(observed) - 1)
    # Wilson & Hilferty 1931: the cube root of chi squared over its degrees of freedom is about normal.
    bound = degrees * (1 - 2 / (9 * degrees) + 4.753 * np.sqrt(2 / (9 * degrees))) ** 3
    return not counts[shares == 0].any() and bool(((observed - expected) ** 2 / expected).sum() <= bound)
