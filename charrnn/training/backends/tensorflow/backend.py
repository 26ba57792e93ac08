"""TensorFlow before it is imported: its facts, and its start."""

import os
from contextlib import suppress

from charrnn.training.backends.contract import Backend, Engine, NoSuchDevice
from charrnn.training.backends.jax.distributed import Processes


class TensorFlow(Backend):
    """The `Backend` TensorFlow: each shard is a part of one graph, computed by one thread; at most one GPU."""

    name, title = "tensorflow", "TensorFlow"
    install_for_gpu = "pip install 'charrnn[cuda]'"
    tells_why_no_gpu = several_processes = False
    probe = """
import json, tensorflow as tf
built = tf.sysconfig.get_build_info()
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")]
print(json.dumps({"version": tf.__version__, "cuda": bool(built.get("is_cuda_build")), "gpus": gpus}))
"""
    peak = """
import time, tensorflow as tf
a = tf.random.uniform(({n}, {n}))
tf.matmul(a, a).numpy()
best = 1e9
for _ in range(5):
    t = time.perf_counter(); tf.matmul(a, a)[0, 0].numpy(); best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
"""

    def shards(self, rows: int, most: int) -> int:
        """Return `most`: shards may differ in size by one row."""
        return most

    def start(self, shards: int, float64: bool, device: str, processes: Processes) -> int:
        """Import TensorFlow and Keras; return 1 on a GPU, else `shards`, each computed by one thread."""
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        # oneDNN's products are 10 % to 50 % faster here; not all builds use them by default.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
        number = int(device.partition(":")[2] or 0)
        if device.startswith("gpu") and number >= len(gpus):
            raise NoSuchDevice
        # If TensorFlow has computed already, devices and threads cannot change; then shards may share threads.
        with suppress(RuntimeError):
            tf.config.set_visible_devices(gpus[number : number + 1], "GPU")
            for gpu in gpus[number : number + 1]:
                # Other programs may need some of its memory.
                tf.config.experimental.set_memory_growth(gpu, True)
        with suppress(RuntimeError):
            # The products of a recurrent step are too small to share among threads; the shards run in parallel instead.
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(shards)
        import keras  # noqa: F401

        # The first operation sets up the devices, and this writes messages too.
        tf.zeros(())
        return 1 if tf.config.list_logical_devices("GPU") else shards

    def engine(self) -> Engine:
        from charrnn.training.backends.tensorflow import engine

        return engine
