"""The guard against divergence: a loss that is not finite, or that jumps far above its mean."""

import math
from dataclasses import replace

from charrnn.runs.progress import Stability

# The factor of the learning rate at each return to the last good state, and the most returns without improvement.
LOWER, TRIES = 0.5, 5
# How far the loss of a step may be above its mean: in nats, and in mean deviations (8 sigma of a normal loss).
LEAP, DEVIATIONS = 1.0, 10.0
# A jump of the loss within this many steps after an earlier one is attributed to the same part of the text.
ABOUT = 20
_SMOOTH = 0.98


class Diverged(Exception):
    """Training diverged at step `step` (from 1); the message says how, without a full stop."""

    def __init__(self, what: str, step: int):
        super().__init__(f"{what} at step {step:,}")
        self.step = step


def watch(known: Stability, step: int, nats: float, share: float = 1.0, starts: bool = False) -> Stability:
    """Return the guard's state after the loss of step `step` (from 1), in which a `share` of the characters counted.

    A step that `starts` an epoch is ignored: its streams start in the middle of documents, so its loss is higher.

    Raises Diverged for a loss that is not finite or that jumps. If the loss jumps again at about the same step, after a
    return and at a lower learning rate, the reason is the text, and the jump is ignored; so are all jumps after TRIES
    returns without improvement.
    """
    if not math.isfinite(nats):
        raise Diverged(f"the loss became {nats}", step)
    if starts:
        return known
    mean, deviation = known.loss_mean, known.loss_deviation
    if mean is None:
        # One loss does not show yet how much losses vary: at first only a jump of many nats counts.
        return replace(known, loss_mean=nats, loss_deviation=max(LEAP, nats))
    # The mean over few characters varies more, by the square root of their share.
    leap = math.sqrt(share) * (nats - mean)
    if leap > max(LEAP, DEVIATIONS * deviation) and known.rollbacks < TRIES:
        if step > known.forgiven_step + ABOUT:
            raise Diverged(f"the loss jumped from about {mean:.2f} to {nats:.2f} nats", step)
        return known
    return replace(
        known,
        loss_mean=_SMOOTH * mean + (1 - _SMOOTH) * nats,
        loss_deviation=_SMOOTH * deviation + (1 - _SMOOTH) * abs(leap),
    )
