"""The engine for TensorFlow: the names of `contract.Engine`."""

from charrnn.training.backends.tensorflow.native import compiled_dropout, compiled_look_up, compiled_scan
from charrnn.training.backends.tensorflow.ops import (
    Update,
    compiled,
    counter,
    cross_entropies,
    look_up,
    loss_and_gradients,
    matmul,
    on_gpu,
    uniform_rows,
    xp,
)
from charrnn.training.backends.tensorflow.scan import scan
from charrnn.training.backends.tensorflow.shards import Shards

__all__ = [
    "Shards",
    "Update",
    "compiled",
    "compiled_dropout",
    "compiled_look_up",
    "compiled_scan",
    "counter",
    "cross_entropies",
    "look_up",
    "loss_and_gradients",
    "matmul",
    "on_gpu",
    "scan",
    "uniform_rows",
    "xp",
]
