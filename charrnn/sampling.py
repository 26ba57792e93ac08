"""From logits to the next character: pure functions, randomness passed in."""

import numpy as np


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return next-character probabilities, (..., vocab), float64; rows sum to 1. Temperature 0 is greedy.

    softmax(logits / temperature), Ackley, Hinton & Sejnowski 1985.
    """
    if temperature == 0:
        greedy = np.zeros(logits.shape)
        np.put_along_axis(greedy, logits.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
        return greedy
    scaled = np.subtract(logits, logits.max(axis=-1, keepdims=True), dtype=np.float64)
    # Divided after the subtraction, so that a tiny temperature gives -inf and not nan.
    with np.errstate(over="ignore"):
        scaled /= temperature
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def pick(probabilities: np.ndarray, uniform: float) -> int:
    """Return the id, of one row of probabilities, that a uniform draw from [0, 1) falls on."""
    cumulative = probabilities.cumsum()
    # Scaled by the sum as it was added up: rounding must not let the draw fall behind the last character.
    return int(cumulative.searchsorted(uniform * cumulative[-1], side="right"))
