"""The number of steps of a run: by `steps`, by `epochs`, or by `minutes` after its speed has been measured."""

import math

from charrnn.config import TrainConfig


def counted_total(config: TrainConfig, steps_per_epoch: int) -> int | None:
    """Return the number of steps that `steps` and `epochs` allow, whichever is less; None if neither is set."""
    limits = [] if config.steps is None else [config.steps]
    if config.epochs is not None:
        # A resumed run may count a fraction of an epoch; its rounding error must not add a step.
        limits.append(max(1, math.ceil(round(config.epochs * steps_per_epoch, 6))))
    return min(limits, default=None)


def measured_total(
    done: int, seconds_left: float, seconds_per_step: float, seconds_per_evaluation: float, steps_per_evaluation: int
) -> int:
    """Return the number of steps, including those already `done`, that fill the time left; at least one more."""
    per_step = seconds_per_step + seconds_per_evaluation / steps_per_evaluation
    return done + max(1, int((seconds_left - seconds_per_evaluation) / per_step))
