"""The engine for JAX: the names of `contract.Engine`."""

from charrnn.training.backends.jax.native import compiled_dropout, compiled_look_up, compiled_scan
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
