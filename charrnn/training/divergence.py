"""When training has gone wrong: a number that is none, or a loss that leaps far above what it was."""

import math
from dataclasses import replace

from charrnn.runs.progress import Stability

# What a return to the last good state does to the learning rate, and how many are made without any gain between.
LOWER, TRIES = 0.5, 5
# How far the loss of a step may stand above its mean: in nats, and in mean deviations (8 sigma of a normal loss).
LEAP, DEVIATIONS = 1.0, 10.0
# Steps behind a leap in which the next ones are taken for the same stretch of text.
ABOUT = 20
_SMOOTH = 0.98


class Diverged(Exception):
    """Training has gone wrong at step `step` (from 1); the message says how, without a full stop."""

    def __init__(self, what: str, step: int):
        super().__init__(f"{what} at step {step:,}")
        self.step = step


def watch(known: Stability, step: int, nats: float, share: float = 1.0, starts: bool = False) -> Stability:
    """Return what is known after the loss of step `step` (from 1), in which a `share` of the characters counted.

    Of a step that `starts` an epoch, whose streams start in the middle of documents, the loss is always higher.

    A loss that is not finite, or leaps, raises Diverged.

    What leaps again about where it leapt before, after a return at a lower rate, is in the text, and is passed by; so
    are all leaps after TRIES returns without any gain.
    """
    if not math.isfinite(nats):
        raise Diverged(f"the loss became {nats}", step)
    if starts:
        return known
    mean, deviation = known.loss_mean, known.loss_deviation
    if mean is None:
        # A step knows nothing yet of how far losses stray: at first only a leap of many nats counts.
        return replace(known, loss_mean=nats, loss_deviation=max(LEAP, nats))
    # The mean of few characters strays further, by the root of how few they are.
    leap = math.sqrt(share) * (nats - mean)
    if leap > max(LEAP, DEVIATIONS * deviation) and known.rollbacks < TRIES:
        if step > known.forgiven_step + ABOUT:
            raise Diverged(f"the loss leapt from about {mean:.2f} to {nats:.2f} nats", step)
        return known
    return replace(
        known,
        loss_mean=_SMOOTH * mean + (1 - _SMOOTH) * nats,
        loss_deviation=_SMOOTH * deviation + (1 - _SMOOTH) * abs(leap),
    )
