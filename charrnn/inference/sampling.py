"""From logits to the next character and its cost: pure functions, to which random numbers are passed.

They accept one row of logits, (vocab,), or many, (..., vocab).
"""

import math
from dataclasses import dataclass

import numpy as np

from charrnn.errors import CharRNNError

# A temperature beyond these limits has the same effect as the limit. float32 can represent both, and numbers divided by
# them.
COLDEST, HOTTEST = 1e-30, 1e30


@dataclass(frozen=True)
class Sampling:
    """How the next character is drawn: a temperature, then filters of its distribution, applied in this order.

    `top_k` keeps the k likeliest characters (Fan et al. 2018). `top_p` keeps the smallest set of the likeliest ones
    that has at least this probability (Holtzman et al. 2020). `min_p` keeps those with at least this fraction of the
    highest probability (Nguyen et al. 2024). `typical` keeps the smallest set that has at least this probability, where
    the characters with the surprisal closest to the expected one come first (Meister et al. 2023).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise CharRNNError(f"`temperature` is {self.temperature}; it must be a number, at least 0.")
        if self.top_k is not None and self.top_k < 1:
            raise CharRNNError(f"`top_k` is {self.top_k}; it must be at least 1.")
        for name in ("top_p", "min_p", "typical"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise CharRNNError(f"`{name}` is {value}; it must be above 0 and at most 1.")

    def weights(self, logits: np.ndarray) -> np.ndarray:
        """Return numbers proportional to the probabilities of being drawn, in the shape of `logits`."""
        kept = weights(logits, self.temperature)
        if self.top_k or self.top_p or self.min_p:
            kept *= kept >= (self._least_of(kept) if kept.ndim == 1 else self._least(kept))
        if self.typical:
            _leave_typical(kept, self.typical)
        return kept

    def _least(self, weights: np.ndarray) -> np.ndarray:
        """Return for each row, (..., 1), the smallest weight that top_k, top_p and min_p keep.

        Of characters with equal weights, all are kept or none.
        """
        ascending = np.sort(weights, axis=-1)[..., -self.top_k if self.top_k else None :]
        least = ascending[..., :1]
        if self.top_p:
            cumulative = ascending.cumsum(axis=-1, dtype=np.float64)
            place = (cumulative <= (1 - self.top_p) * cumulative[..., -1:]).sum(axis=-1, keepdims=True)
            least = np.take_along_axis(ascending, np.minimum(place, ascending.shape[-1] - 1), axis=-1)
        return np.maximum(least, self.min_p or 0)

    def _least_of(self, weights: np.ndarray) -> float:
        """Return `_least` of one row; a separate function, because the speed of single texts depends on it."""
        if not (self.top_k or self.top_p):
            return self.min_p or 0.0
        ascending = weights.astype(np.float64)
        ascending.sort()
        if self.top_k:
            ascending = ascending[-self.top_k :]
        place = 0
        if self.top_p:
            cumulative = np.add.accumulate(ascending)
            left_out = (1 - self.top_p) * cumulative.item(-1)
            place = min(int(cumulative.searchsorted(left_out, "right")), len(ascending) - 1)
        return max(ascending.item(place), self.min_p or 0.0)


def weights(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return numbers proportional to the probabilities of the next character, (..., vocab); the largest is 1.

    This is softmax(logits / temperature) without its denominator (Ackley, Hinton & Sejnowski 1985). Temperature 0 is
    greedy: only the first of the likeliest characters has a weight above 0.
    """
    if temperature == 0:
        greedy = np.zeros_like(logits)
        np.put_along_axis(greedy, logits.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
        return greedy
    scaled = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
    scaled /= min(max(temperature, COLDEST), HOTTEST)
    return np.exp(scaled, out=scaled)


def pick(weights: np.ndarray, uniform: float) -> int:
    """Return the id that a uniform draw from [0, 1) selects from one row of weights."""
    # The array is converted first: accumulating it in a different type would take longer than both steps.
    cumulative = np.add.accumulate(weights.astype(np.float64))
    # The draw is scaled by the accumulated sum, so that rounding cannot select an id after the last character.
    return int(cumulative.searchsorted(uniform * cumulative.item(-1), "right"))


def pick_each(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return the id that each uniform draw selects from its row of weights, (batch, vocab), as `pick` does."""
    cumulative = weights.cumsum(axis=-1, dtype=np.float64)
    return (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(axis=-1)


def _leave_typical(weights: np.ndarray, share: float) -> None:
    """Set all weights to 0 except the smallest set of the most typical ones that has at least a share of its row."""
    p = weights.astype(np.float64)
    p /= p.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprisal = -np.log(p)
        expected = np.where(p > 0, p * surprisal, 0).sum(axis=-1, keepdims=True)
    order = np.abs(surprisal - expected).argsort(axis=-1, kind="stable")
    before = np.take_along_axis(p, order, axis=-1).cumsum(axis=-1)
    before = np.concatenate([np.zeros_like(before[..., :1]), before[..., :-1]], axis=-1)
    left_out = np.take_along_axis(before >= share, order.argsort(axis=-1), axis=-1)
    weights[left_out] = 0


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return -log softmax(logits)[target] in nats; logits (..., vocab), targets (...)."""
    top = logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    return total - np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]
