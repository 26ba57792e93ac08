"""The learning rate of every step: each optimizer's default that works, and the schedules."""

import math

from charrnn.config import TrainConfig

# Keras's own default of 0.001 leaves Adadelta standing still and SGD crawling.
DEFAULT_RATES = {"adam": 5e-3, "adamw": 5e-3, "rmsprop": 2e-3, "sgd": 0.5, "adagrad": 0.5, "adadelta": 1.0}


def base_rate(config: TrainConfig) -> float:
    """Return the learning rate before its schedule."""
    return DEFAULT_RATES[config.optimizer] if config.lr is None else config.lr


def learning_rate(config: TrainConfig, step: int, total: int | None, steps_per_epoch: int) -> float:
    """Return the rate of step `step` (from 0) of `total`.

    cosine warms up linearly, then falls along half a cosine (Loshchilov & Hutter 2017) to the end; while `total` is
    None, not yet measured, it stays up.
    """
    rate = base_rate(config)
    if config.schedule == "constant":
        return rate
    if config.schedule == "exponential":
        epochs = step // steps_per_epoch
        return rate * config.decay ** max(0, epochs - config.decay_after + 1)
    # A short run warms up for a tenth of itself.
    warmup = config.warmup if total is None else min(config.warmup, total // 10)
    if step < warmup:
        return rate * (step + 1) / warmup
    if total is None:
        return rate
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    # Down to a hundredth, not to nothing: the last steps should still teach something.
    return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
