"""From logits to the next character: pure functions, randomness passed in."""

import numpy as np

# Beyond these a temperature changes nothing any more; and a float32 holds both, and what is divided by them.
COLDEST, HOTTEST = 1e-30, 1e30


def weights(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return numbers in proportion to the next character's probabilities, (..., vocab); the likeliest has 1.

    softmax(logits / temperature) but for its denominator, Ackley, Hinton & Sejnowski 1985. Temperature 0 is greedy:
    all but the first of the likeliest have 0.
    """
    if temperature == 0:
        greedy = np.zeros_like(logits)
        np.put_along_axis(greedy, logits.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
        return greedy
    scaled = logits - logits.max(axis=-1, keepdims=True)
    scaled /= min(max(temperature, COLDEST), HOTTEST)
    return np.exp(scaled, out=scaled)


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return next-character probabilities, (..., vocab), float64; rows sum to 1."""
    unscaled = weights(logits.astype(np.float64), temperature)
    return unscaled / unscaled.sum(axis=-1, keepdims=True)


def pick(weights: np.ndarray, uniform: float) -> int:
    """Return the id, of one row of weights, that a uniform draw from [0, 1) falls on."""
    cumulative = weights.cumsum(dtype=np.float64)
    # Scaled by the sum as it was added up: rounding must not let the draw fall behind the last character.
    return int(cumulative.searchsorted(uniform * cumulative[-1], side="right"))
