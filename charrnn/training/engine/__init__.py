"""What differs between the backends of Keras: loops, gradients, compilation, random numbers.

Both engines offer the same names: `on_tensorflow` and `on_jax`, each with its `scan_` beside it. Start a backend
(`charrnn.training.backend`) before importing this.
"""

import keras

if keras.backend.backend() == "jax":
    from charrnn.training.engine import on_jax as engine
    from charrnn.training.engine.scan_jax import scan
else:
    from charrnn.training.engine import on_tensorflow as engine  # type: ignore[no-redef]
    from charrnn.training.engine.scan_tensorflow import scan

Update, compiled, loss_and_gradients = engine.Update, engine.compiled, engine.loss_and_gradients
counter, uniform_rows = engine.counter, engine.uniform_rows
cross_entropies, look_up, xp = engine.cross_entropies, engine.look_up, engine.xp

__all__ = [
    "Update",
    "compiled",
    "counter",
    "cross_entropies",
    "look_up",
    "loss_and_gradients",
    "scan",
    "uniform_rows",
    "xp",
]
