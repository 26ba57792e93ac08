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
    if there are too few lines for a quantile, or too many of them have the highest score.
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
    found = [_threshold(numbers, quantile) for quantile in wanted]
    if highest := [one.quantile for one in found if _is_only_highest(one)]:
        notify(_only_highest(highest, len(numbers)))
    return found


def _is_only_highest(found: Threshold) -> bool:
    """Return whether a threshold is the highest score because there are too few lines, or too many have that score."""
    rest = _rest(found.quantile, found.lines)
    return rest < 2 or round(found.share * found.lines) > rest


def _only_highest(quantiles: Sequence[float], count: int) -> str:
    """Return the notice that quantiles of the scores of `count` lines are no lower than the highest score."""
    *others, last = [f"{quantile * 100:.10g} %" for quantile in quantiles]
    named = f"{', '.join(others)} and {last} quantiles" if others else f"{last} quantile"
    # Then two lines may be at or above the threshold.
    enough = math.ceil(round(2 / (1 - max(quantiles)), 6))
    return (
        f"The {named} of {count:,} ordinary line{'' if count == 1 else 's'} {'are' if others else 'is'} only the "
        f"highest score. " + (f"Give {enough:,} lines or more." if count < enough else "Several lines have this score.")
    )


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
