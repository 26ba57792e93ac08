"""Keras's optimizers by name, each with a default rate that works, and the learning-rate schedules."""

import math

import keras

from charrnn.config import TrainConfig

# Keras's own default of 0.001 leaves Adadelta standing still and SGD crawling.
DEFAULT_RATES = {"adam": 5e-3, "adamw": 5e-3, "rmsprop": 2e-3, "sgd": 0.5, "adagrad": 0.5, "adadelta": 1.0}


def base_rate(config: TrainConfig) -> float:
    """Return the learning rate before its schedule."""
    return DEFAULT_RATES[config.optimizer] if config.lr is None else config.lr


def make_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer that the settings ask for; its learning rate is set anew at every step."""
    settings: dict[str, object] = {
        "learning_rate": base_rate(config),
        "global_clipnorm": config.clip_norm,
        "clipvalue": config.clip_value,
    }
    if config.optimizer == "sgd":
        settings["momentum"] = config.momentum
    elif config.epsilon is not None:
        settings["epsilon"] = config.epsilon
    if config.optimizer in ("rmsprop", "adadelta") and config.rho is not None:
        settings["rho"] = config.rho
    if config.weight_decay is not None:
        settings["weight_decay"] = config.weight_decay
    return keras.optimizers.get({"class_name": config.optimizer, "config": settings})


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
