"""Choosing and starting the backend, once, before anything imports keras."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError

SHARD_ROWS = 16


def shard_count(batch: int, cores: int | None = None) -> int:
    """Return into how many shards a batch is cut, one thread each: min(cores, batch // 16), at least 1."""
    return max(1, min(cores or usable_cores(), batch // SHARD_ROWS))


def start(shards: int) -> None:
    """Import keras and tensorflow quietly, `shards` threads side by side, each operation on one of them.

    Raises CharRNNError when KERAS_BACKEND asks for a backend that charrnn does not have.
    """
    wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if wanted != "tensorflow":
        raise CharRNNError(f"KERAS_BACKEND is {wanted!r}; charrnn trains with tensorflow.", hint="Unset KERAS_BACKEND.")
    os.environ["KERAS_BACKEND"] = wanted
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # oneDNN's products are a tenth to a half faster here; builds differ in whether they use them unasked.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _stderr_held_back():
        import tensorflow as tf

        # A recurrent step's products are too small to share among threads; the shards are what runs in parallel.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(shards)
        import keras  # noqa: F401

        # The devices are set up at the first operation, and that talks too.
        tf.zeros(())


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Keep back what native code writes to descriptor 2 (TensorFlow greets there at any log level) unless it fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            ctypes.CDLL(None).fflush(None)
            os.dup2(saved, 2)
            os.close(saved)
