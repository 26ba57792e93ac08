"""JAX before it is imported: its facts, and its start."""

import os
from contextlib import suppress

from charrnn.errors import CharRNNError
from charrnn.training.backends.contract import Backend, Engine, NoSuchDevice
from charrnn.training.backends.jax.distributed import Processes


class Jax(Backend):
    """The `Backend` JAX: each shard is computed by one device, a core or a GPU, perhaps of another process."""

    name, title = "jax", "JAX"
    install_for_gpu = "pip install 'charrnn[jax-cuda]'"
    tells_why_no_gpu = several_processes = True
    probe = """
import json, jax
from importlib.util import find_spec
try:
    gpus = [gpu.device_kind for gpu in jax.devices("gpu")]
except RuntimeError:
    gpus = []
cuda = any(find_spec(f"jax_cuda{n}_plugin") for n in (12, 13, 14))
print(json.dumps({"version": jax.__version__, "cuda": cuda, "gpus": gpus}))
"""
    peak = """
import time, jax
a = jax.random.uniform(jax.random.key(0), ({n}, {n}))
product = jax.jit(lambda a: a @ a)
product(a).block_until_ready()
best = 1e9
for _ in range(5):
    t = time.perf_counter(); product(a).block_until_ready(); best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
"""

    def shards(self, rows: int, most: int) -> int:
        """Return the largest number of equal shards."""
        return next(count for count in range(most, 0, -1) if rows % count == 0)

    def start(self, shards: int, float64: bool, device: str, processes: Processes) -> int:
        """Import JAX and Keras; return the number of GPUs, else `shards`, at most as many as there are CPU devices."""
        # Other programs may need some of the GPU's memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        if float64:
            jax.config.update("jax_enable_x64", True)
        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        elif device != "auto":
            jax.config.update("jax_platforms", "cuda")
        if device.startswith("gpu:"):
            jax.config.update("jax_cuda_visible_devices", device.partition(":")[2])
        # If JAX has computed already, the number of devices can no longer change.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", shards // processes.count)
        if processes.count > 1:
            processes.connect(device)
        import keras  # noqa: F401

        try:
            jax.numpy.zeros(())
        except (AssertionError, RuntimeError):
            if not device.startswith("gpu"):
                raise
            raise NoSuchDevice from None
        if jax.device_count() != processes.count * jax.local_device_count():
            raise CharRNNError(
                f"This process has {jax.local_device_count()} of the {jax.device_count()} devices of "
                f"{processes.count} processes.",
                hint="All processes need the same number of cores (taskset) or of GPUs (`device`).",
            )
        return min(shards, jax.device_count()) if jax.default_backend() == "cpu" else jax.device_count()

    def engine(self) -> Engine:
        from charrnn.training.backends.jax import engine

        return engine
