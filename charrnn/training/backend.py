"""Choosing and starting the backend, once, before anything imports keras."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}
BACKENDS = tuple(NAMES)
SHARD_ROWS = 16


def shard_count(batch: int, cores: int | None = None) -> int:
    """Return into how many shards a batch is cut, one thread each: min(cores, batch // 16), at least 1."""
    return max(1, min(cores or usable_cores(), batch // SHARD_ROWS))


def chosen() -> str:
    """Return the backend that KERAS_BACKEND asks for; CharRNNError if charrnn does not have it."""
    wanted = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if wanted not in BACKENDS:
        raise CharRNNError(
            f"KERAS_BACKEND is {wanted!r}; charrnn trains with {' or '.join(BACKENDS)}.", hint="Unset KERAS_BACKEND."
        )
    return wanted


def start(shards: int, float64: bool = False) -> None:
    """Import keras and its backend quietly.

    TensorFlow then computes with `shards` threads side by side, each operation on one of them; JAX as it likes. With
    `float64` the backend can compute with that as well (JAX otherwise quietly does not). Raises CharRNNError when
    KERAS_BACKEND asks for a backend that charrnn does not have, or that is not installed.
    """
    os.environ["KERAS_BACKEND"] = chosen()
    with _stderr_held_back():
        try:
            _START[chosen()](shards, float64)
        except ModuleNotFoundError as error:
            raise CharRNNError(
                f"KERAS_BACKEND is {chosen()!r}, but {error.name} is not installed.",
                hint=f"pip install {error.name}, or unset KERAS_BACKEND.",
            ) from None


def _start_tensorflow(shards: int, float64: bool) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # oneDNN's products are a tenth to a half faster here; builds differ in whether they use them unasked.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    # A recurrent step's products are too small to share among threads; the shards are what runs in parallel.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(shards)
    import keras  # noqa: F401

    # The devices are set up at the first operation, and that talks too.
    tf.zeros(())


def _start_jax(shards: int, float64: bool) -> None:
    import jax

    if float64:
        jax.config.update("jax_enable_x64", True)
    import keras  # noqa: F401

    jax.numpy.zeros(())


_START = {"tensorflow": _start_tensorflow, "jax": _start_jax}


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
