"""Keras's optimizers by name."""

import keras

from charrnn.config import TrainConfig


def make_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer for the settings; every step sets its learning rate."""
    settings: dict[str, object] = {
        "learning_rate": config.rate,
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
