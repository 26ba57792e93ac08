"""The engine of the backend that was started (`backends/start.py`): import this module after the start."""

import keras

from charrnn.training.backends.calls import ONE_HOT_ROWS
from charrnn.training.backends.choice import BACKENDS

backend = BACKENDS[keras.backend.backend()]
_engine = backend.engine()
Shards, Update, xp = _engine.Shards, _engine.Update, _engine.xp
scan, calls, gpu_calls = _engine.scan, _engine.calls, _engine.gpu_calls
compiled, loss_and_gradients = _engine.compiled, _engine.loss_and_gradients
matmul, look_up, cross_entropies = _engine.matmul, _engine.look_up, _engine.cross_entropies
counter, uniform_rows, on_gpu = _engine.counter, _engine.uniform_rows, _engine.on_gpu

__all__ = [
    "ONE_HOT_ROWS",
    "Shards",
    "Update",
    "backend",
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
