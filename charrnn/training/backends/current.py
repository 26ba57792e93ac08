"""What differs between the backends of Keras: loops, gradients, compilation, devices, random numbers.

Both engines offer the same names: `on_tensorflow` and `on_jax`, each with its `scan_` and `shards_` beside it. Start a
backend (`charrnn.training.backends.start`) before importing this.
"""

import keras

from charrnn.training.backends.calls import ONE_HOT_ROWS

if keras.backend.backend() == "jax":
    from charrnn.training.backends.jax import ops as engine
    from charrnn.training.backends.jax.scan import scan
    from charrnn.training.backends.jax.shards import Shards
else:
    from charrnn.training.backends.tensorflow import ops as engine  # type: ignore[no-redef]
    from charrnn.training.backends.tensorflow.scan import scan
    from charrnn.training.backends.tensorflow.shards import Shards  # type: ignore[assignment]

Update, compiled, loss_and_gradients = engine.Update, engine.compiled, engine.loss_and_gradients
counter, on_gpu, uniform_rows = engine.counter, engine.on_gpu, engine.uniform_rows
cross_entropies, look_up, matmul, xp = engine.cross_entropies, engine.look_up, engine.matmul, engine.xp

__all__ = [
    "ONE_HOT_ROWS",
    "Shards",
    "Update",
    "compiled",
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
