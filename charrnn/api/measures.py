"""How good given labels are: shares and areas under curves, with intervals of 95 %."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

# Of 95 %, on both sides.
_DEVIATIONS = 1.959963984540054
# Of the texts, with replacement, for the interval of an area.
DRAWS = 1000


@dataclass(frozen=True)
class Share:
    """How many texts of some got their true label."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """Return the share, NaN of no texts."""
        return self.right / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval of 95 %: Wilson's (1927), which also holds for few texts, and near 0 and 1."""
        if not self.of:
            return math.nan, math.nan
        z = _DEVIATIONS**2 / self.of
        middle = (self.value + z / 2) / (1 + z)
        half = math.sqrt(z * self.value * (1 - self.value) + z * z / 4) / (1 + z)
        return max(0.0, middle - half), min(1.0, middle + half)

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        low, high = self.interval
        return {"accuracy": self.value, "accuracy_low": low, "accuracy_high": high}


@dataclass(frozen=True)
class Area:
    """An area under the receiver operating characteristic, with its interval; NaN if there is none."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {"auc": self.value, "auc_low": self.low, "auc_high": self.high}


def share(given: np.ndarray, true: np.ndarray) -> Share:
    """Return how many given labels are the true ones; both are numbers, (texts,)."""
    return Share(int((given == true).sum()), len(true))


def area(probabilities: np.ndarray, true: np.ndarray, seed: int) -> Area:
    """Return the area under the curve, the mean over the labels, each against all others.

    probabilities: (texts, labels). true: the numbers of the labels, (texts,). A label that no text has, or all texts
    have, does not count. The interval has the middle 95 % of the areas of DRAWS samples of the texts, with
    replacement; `seed` is that of their random numbers.
    """
    # With two labels, both areas are equal.
    labels = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    curves = [_Curve(probabilities[:, label], true == label) for label in labels]
    rng, count = np.random.default_rng(seed), len(true)
    value = _mean([curve.area(np.ones(count)) for curve in curves])
    if math.isnan(value):
        return Area(value, value, value)
    drawn = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        drawn.append(_mean([curve.area(times) for curve in curves]))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Area(value, float(low), float(high))


class _Curve:
    """The curve of one label: scores, and which texts have the label, each (texts,)."""

    def __init__(self, scores: np.ndarray, positive: np.ndarray):
        _, self.place = np.unique(scores, return_inverse=True)
        self.positive = positive

    def area(self, times: np.ndarray) -> float:
        """Return the probability that a text with the label has a higher score than one without it; ties are a half.

        times: how often each text counts, (texts,). NaN if all texts have the label, or none.
        """
        positive = np.bincount(self.place, times * self.positive)
        negative = np.bincount(self.place, times * ~self.positive)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative
        return float(positive @ (below + negative / 2) / pairs) if pairs else math.nan


def _mean(areas: list[float]) -> float:
    """Return the mean of the areas that there are, NaN if there are none."""
    found = [area for area in areas if not math.isnan(area)]
    return sum(found) / len(found) if found else math.nan
