"""Guess ranks: how many guesses find a text if the likeliest texts are guessed first; estimated from samples."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from charrnn.inference.batch import SIDE_BY_SIDE, generate
from charrnn.inference.generation import Ending, Generation
from charrnn.inference.lines import Score, Scorer
from charrnn.inference.model import Model
from charrnn.inference.scoring import score_after

# A sample that has not ended after this many characters is given up.
LONGEST = 10_000
# Samples that are scored together.
_TOGETHER = 8 * SIDE_BY_SIDE
# Relative: the nats of a text differ by at most this between numbers of texts that are read in parallel.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Rank:
    """The position of a text if all texts are guessed in the order of their probability: 1 is the likeliest text.

    `error` is the standard error of this estimate. If it is infinite, the text is less likely than every sample, and
    `rank` is a lower bound. A text that the model cannot write has an infinite rank and the error 0.
    """

    rank: float
    error: float


class Guesses:
    """Samples of a model, which estimate the ranks of texts; `of` needs scores that count the end of a text.

    Method: Dell'Amico & Filippone 2015, "Monte Carlo Strength Evaluation". Each of `count` samples that is likelier
    than the text counts as 1 / (count p) texts, where p is the probability of the sample. `nats`, (samples,), are
    -log p of the samples that are texts. `limit` is the lowest cost of a sample that had not ended; beyond it, the
    estimate is only a lower bound.
    """

    def __init__(self, nats: np.ndarray, count: int, end: str, limit: float = math.inf):
        self.nats, self.count, self.end, self.limit = np.sort(nats), count, end, limit
        # Logarithms, because the probabilities of long texts are too small for floating-point numbers.
        self._sums = np.logaddexp.accumulate(self.nats)
        self._squares = np.logaddexp.accumulate(2 * self.nats)

    def of(self, score: Score) -> Rank:
        """Return the rank of a line."""
        # An end before the end of the text, which may overlap it, would end the text there.
        if score.unknown or self.end in score.read[:-1]:
            return Rank(math.inf, 0.0)
        return self.rank(score.bits * math.log(2))

    def rank(self, nats: float) -> Rank:
        """Return the rank of a text that costs this many nats, including its end."""
        # A sample that equals the text itself does not count as likelier.
        likelier = int(self.nats.searchsorted(nats * (1 - _ROUNDING)))
        mean, variance = 0.0, 0.0
        if likelier:
            log_mean = self._sums[likelier - 1] - math.log(self.count)
            mean = _exp(log_mean)
            # The variance of a sample's contribution, divided by the square of the mean.
            variance = max(0.0, math.exp(self._squares[likelier - 1] - math.log(self.count) - 2 * log_mean) - 1)
        beyond = likelier == len(self.nats) or nats > self.limit or mean == sys.float_info.max
        if beyond:
            return Rank(min(1 + mean, sys.float_info.max), math.inf)
        # If only few samples are likelier, their variance is unreliable, so the contribution of one sample with the
        # probability of the text itself is added.
        one_more = _exp(nats - math.log(self.count))
        return Rank(1 + mean, math.hypot(mean * math.sqrt(variance / self.count), one_more))


def _exp(log: float) -> float:
    """Return e to the power of a number, at most the largest float."""
    return math.exp(log) if log < math.log(sys.float_info.max) else sys.float_info.max


def draw(
    scorer: Scorer, samples: int, seed: int, watch: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Guesses, int]:
    """Return guesses from `samples` samples that follow the same text as a scorer's lines, and how many had not ended.

    The scorer must count the end of texts. `watch` is called with the number of drawn samples and their total.
    """
    model: Model = scorer.model
    end = model.vocab.encode(scorer.end)
    # Samples must be drawn with the model's own probabilities, so the unknown symbol may occur; a sample that contains
    # it is not a text.
    how = Generation(Ending(LONGEST, (tuple(end.tolist()),)), seed=seed, unknown=True)
    befores = repeat(scorer.before[-1:], samples)
    nats: list[float] = []
    waiting: list[np.ndarray] = []
    unended, limit = 0, math.inf
    drawn = generate(model, scorer.before[:-1], befores, how, min(SIDE_BY_SIDE, samples))
    for done, sample in enumerate(drawn, 1):
        if not sample.ended:
            unended, limit = unended + 1, min(limit, float(sample.nats.sum(dtype=np.float64)))
        elif model.vocab.unknown_id not in sample.ids:
            waiting.append(np.concatenate([sample.ids, end]))
        if len(waiting) == _TOGETHER or done == samples:
            nats += [float(costs.sum(dtype=np.float64)) for costs in score_after(scorer.begun, waiting)]
            waiting = []
        watch(done, samples)
    return Guesses(np.array(nats), samples, scorer.end, limit), unended
