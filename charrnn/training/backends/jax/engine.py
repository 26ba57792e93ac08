"""The engine for JAX: the names of `contract.Engine`."""

from charrnn.training.backends.jax.native import calls, gpu_calls
from charrnn.training.backends.jax.ops import (
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
from charrnn.training.backends.jax.scan import scan
from charrnn.training.backends.jax.shards import Shards

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
