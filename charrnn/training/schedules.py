"""The learning rate of every step: the schedules."""

import math

from charrnn.config import TrainConfig

# The fraction of its base to which a cosine falls.
LOWEST = 0.01


def learning_rate(
    config: TrainConfig, step: int, total: int | None, steps_per_epoch: int, first: int = 0, start: float | None = None
) -> float:
    """Return the rate of step `step` (from 0) of `total`, in a schedule that began at the step `first`.

    cosine warms up linearly, then falls along half a cosine (Loshchilov & Hutter 2017) until the end; while `total` is
    None, not yet measured, it stays at its base. With `start` it begins at that rate, without a warm-up.
    """
    rate, done = config.rate, max(0, step - first)
    if config.schedule == "constant":
        return rate
    if config.schedule == "exponential":
        epochs = done // steps_per_epoch
        return rate * config.decay ** max(0, epochs - config.decay_after + 1)
    warmup = warmup_steps(config, first, total) if start is None else 0
    if done < warmup:
        return rate * (done + 1) / warmup
    if total is None:
        return rate if start is None else start
    share = min(1.0, (done - warmup) / max(1, total - first - warmup))
    # Down to a hundredth, not to zero: the last steps should still change the weights.
    falling = 0.5 * (1 + math.cos(math.pi * share))
    if start is None:
        return rate * (LOWEST + (1 - LOWEST) * falling)
    lowest = LOWEST * rate
    return lowest + (start - lowest) * falling


def warmup_steps(config: TrainConfig, first: int, total: int | None) -> int:
    """Return the number of warm-up steps of a cosine that begins at the step `first`: at most a tenth of its steps."""
    return config.warmup if total is None else min(config.warmup, max(0, total - first) // 10)
