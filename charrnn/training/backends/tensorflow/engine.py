"""The engine for TensorFlow: the names of `contract.Engine`."""

from charrnn.training.backends.tensorflow.native import calls, gpu_calls
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
    "calls",
    "compiled",
    "counter",
    "cross_entropies",
    "gpu_calls",
    "look_up",
    "loss_and_gradients",
    "matmul",
    "on_gpu",
    "scan",
    "uniform_rows",
    "xp",
]
