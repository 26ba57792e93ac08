"""Thresholds for odd lines: quantiles of the scores of ordinary lines."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.api.generation import Notify
from charrnn.api.given import one_or_several
from charrnn.errors import CharRNNError
from charrnn.inference.lines import Score


@dataclass(frozen=True)
class Threshold:
    """A threshold for odd lines: `bits` is this `quantile` of the scores of ordinary lines.

    share: the share of the ordinary lines that are at or above it. lines: how many ordinary lines there were.
    """

    quantile: float
    bits: float
    share: float
    lines: int


def thresholds(scores: Iterable[Score], by: str, quantiles: Sequence[float], notify: Notify) -> list[Threshold]:
    """Return the threshold for each quantile of the scores of ordinary lines; `by` is the kind of score (`Score.by`).

    The threshold is the lowest of these scores for which at most the rest of the lines (one minus the quantile) are at
    or above it. If more lines than that have the highest score, the threshold is the highest score. `notify` is called
    if there are too few lines for a quantile.
    """
    wanted = one_or_several("quantiles", quantiles, (int, float), "a number above 0 and below 1, or several in a list")
    for quantile in wanted:
        if not 0 < quantile < 1:
            raise CharRNNError(f"`quantiles` has {quantile}; each must be above 0 and below 1.", "For example 0.999.")
    numbers = np.fromiter((score.by(by) for score in scores), float)
    # A line in which no character counts has no score.
    numbers = np.sort(numbers[~np.isnan(numbers)])
    if not len(numbers):
        raise CharRNNError(
            "There are no ordinary lines with a character that counts, so there is no threshold.",
            hint="Name a file of normal lines.",
        )
    if few := [quantile for quantile in wanted if _rest(quantile, len(numbers)) == 0]:
        named = " and ".join(f"{quantile * 100:.10g} %" for quantile in few)
        are = "quantiles are" if few[1:] else "quantile is"
        notify(
            f"There are only {len(numbers):,} ordinary lines: their {named} {are} only their maximum. Give "
            f"{math.ceil(round(1 / (1 - max(few)), 6)):,} lines or more."
        )
    return [_threshold(numbers, quantile) for quantile in wanted]


def _rest(quantile: float, count: int) -> int:
    """Return how many of `count` lines may be at or above their quantile."""
    return math.floor(round((1 - quantile) * count, 6))


def _threshold(numbers: np.ndarray, quantile: float) -> Threshold:
    count = len(numbers)
    rest = _rest(quantile, count)
    bits = numbers[count - max(1, rest)]
    if count - numbers.searchsorted(bits) > rest:
        # Several lines have this same score, and together they are too many.
        above = numbers.searchsorted(bits, "right")
        bits = numbers[min(above, count - 1)]
    return Threshold(quantile, float(bits), (count - int(numbers.searchsorted(bits))) / count, count)
