"""How many guesses, the likeliest first, until a text would come: estimated from samples of the model."""

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

# Characters after which a sample that has not ended is given up.
LONGEST = 10_000
# Samples that are scored together.
_TOGETHER = 8 * SIDE_BY_SIDE
# Of nats: a text costs the same but for this, however many are read side by side.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Rank:
    """The number of a text's guess, if texts are guessed in the order of their probability: 1 is the likeliest text.

    `error` is the standard error of that estimate. If it is infinite, the text is less likely than every sample, and
    `rank` is a lower bound. A rank that is infinite, with the error 0, is that of a text that the model cannot write.
    """

    rank: float
    error: float


class Guesses:
    """Samples of a model, by which texts are ranked; `of` takes scores that count a text's end.

    After Dell'Amico & Filippone 2015, "Monte Carlo Strength Evaluation": of `count` samples each that is likelier than
    the text counts for 1 / (count p) texts, p its own probability. `nats`, (samples,), are -log p of those that are
    texts; at `limit`, the least of a sample that had not ended, the estimate ceases to be one.
    """

    def __init__(self, nats: np.ndarray, count: int, end: str, limit: float = math.inf):
        self.nats, self.count, self.end, self.limit = np.sort(nats), count, end, limit
        # As logarithms: the probabilities of long texts are beyond floating-point numbers.
        self._sums = np.logaddexp.accumulate(self.nats)
        self._squares = np.logaddexp.accumulate(2 * self.nats)

    def of(self, score: Score) -> Rank:
        """Return the rank of a line."""
        if score.unknown or self.end in score.read.removesuffix(self.end):
            return Rank(math.inf, 0.0)
        return self.rank(score.bits * math.log(2))

    def rank(self, nats: float) -> Rank:
        """Return the rank of a text that costs so many nats, its end included."""
        # A sample that is the text itself is no likelier text.
        likelier = int(self.nats.searchsorted(nats * (1 - _ROUNDING)))
        mean, variance = 0.0, 0.0
        if likelier:
            log_mean = self._sums[likelier - 1] - math.log(self.count)
            mean = _exp(log_mean)
            # The variance of what a sample counts for, over the square of its mean.
            variance = max(0.0, math.exp(self._squares[likelier - 1] - math.log(self.count) - 2 * log_mean) - 1)
        beyond = likelier == len(self.nats) or nats > self.limit or mean == sys.float_info.max
        if beyond:
            return Rank(min(1 + mean, sys.float_info.max), math.inf)
        # Where hardly any sample is likelier their variance says little: one more of the text's own probability counts.
        one_more = _exp(nats - math.log(self.count))
        return Rank(1 + mean, math.hypot(mean * math.sqrt(variance / self.count), one_more))


def _exp(log: float) -> float:
    """Return e to the power of a number, at most what a float can hold."""
    return math.exp(log) if log < math.log(sys.float_info.max) else sys.float_info.max


def draw(
    scorer: Scorer, samples: int, seed: int, watch: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Guesses, int]:
    """Return guesses from so many samples of what follows as the lines of a scorer do, and how many had not ended.

    The scorer counts the end of texts, which has one. `watch` is told how many samples of how many are drawn.
    """
    model: Model = scorer.model
    end = model.vocab.encode(scorer.end)
    # Probabilities must be those that samples are drawn by, so the unknown symbol may come too; what has it is no text.
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
