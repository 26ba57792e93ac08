"""Choosing and starting the backend, once, before anything imports keras."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError
from charrnn.runs.progress import Progress
from charrnn.training.backends.jax.distributed import ALONE, Processes

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}
BACKENDS = tuple(NAMES)
SHARD_ROWS = 16


def shard_count(batch: int, processes: int = 1, cores: int | None = None) -> int:
    """Return into how many shards a batch is cut on processors.

    In every process one for each of its cores, as far as there are 16 rows for each, and at least one. JAX wants shards
    of equal size: there it is less where the rows do not come out even.
    """
    if batch % processes:
        near = [rows for rows in (batch // processes * processes, (batch // processes + 1) * processes) if rows]
        raise CharRNNError(
            f"--batch {batch} cannot be shared evenly by {processes} processes.",
            hint=f"Use a multiple of {processes}, such as {' or '.join(map(str, near))}.",
        )
    rows = batch // processes
    count = max(1, min(cores or usable_cores(), rows // SHARD_ROWS))
    return processes * (even(rows, count) if chosen() == "jax" else count)


def even(rows: int, most: int) -> int:
    """Return the largest number of equal shards, `most` at most, that rows can be cut into."""
    return next(count for count in range(most, 0, -1) if rows % count == 0)


def cut(batch: int, devices: int, processes: int) -> int:
    """Return into how many shards a batch is cut for what `start` found; one process may leave some devices idle."""
    if chosen() != "jax" or batch % devices == 0:
        return devices
    if processes == 1:
        return even(batch, devices)
    raise CharRNNError(
        f"--batch {batch} cannot be shared evenly by {devices} devices.", hint=f"Use a multiple of {devices}."
    )


def kept_shards(batch: int, progress: Progress, processes: int = 1) -> int:
    """Return into how many shards a resumed run's batch is cut: as many as before, if that can be, to be exact."""
    recorded = progress.shards
    fits = recorded % processes == 0 and not (chosen() == "jax" and batch % recorded)
    # One for each GPU says nothing of cores.
    return recorded if fits and progress.device in (None, "cpu") else shard_count(batch, processes)


def chosen() -> str:
    """Return the backend that KERAS_BACKEND asks for; CharRNNError if charrnn does not have it."""
    wanted = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if wanted not in BACKENDS:
        raise CharRNNError(
            f"KERAS_BACKEND is {wanted!r}; charrnn trains with {' or '.join(BACKENDS)}.", hint="Unset KERAS_BACKEND."
        )
    return wanted


def check_device(device: str) -> None:
    """Raise CharRNNError unless `device` names one: auto, cpu, gpu, or a GPU by its number."""
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "gpu") and not (kind == "gpu" and number.isdecimal()):
        raise CharRNNError(f"--device is {device!r}; it must be auto, cpu, gpu, or one GPU: gpu:0, gpu:1, …")


def check_processes(processes: Processes) -> None:
    """Raise CharRNNError if the backend cannot train in several processes."""
    if processes.count > 1 and chosen() != "jax":
        raise CharRNNError(
            f"{processes.count} processes train together with JAX only; this is {NAMES[chosen()]}.",
            hint="pip install 'charrnn[jax]' (or jax-cuda), then KERAS_BACKEND=jax charrnn train …",
        )


def start(shards: int, float64: bool = False, device: str = "auto", processes: Processes = ALONE) -> int:
    """Import keras and its backend quietly; return into how many shards a batch is to be cut.

    On processors these are `shards`, of all processes together: TensorFlow computes them with as many threads side by
    side, each operation on one of them; for JAX each is a device. On GPUs it is one a GPU; TensorFlow uses one GPU.
    With `float64` the backend can compute with that as well (JAX otherwise quietly does not). Raises CharRNNError when
    the backend or the device is not there.
    """
    os.environ["KERAS_BACKEND"] = chosen()
    # Of several processes all native talk is held back already.
    with nullcontext() if processes.count > 1 else _stderr_held_back():
        try:
            return _START[chosen()](shards, float64, device, processes)
        except ModuleNotFoundError as error:
            raise CharRNNError(
                f"KERAS_BACKEND is {chosen()!r}, but {error.name} is not installed.",
                hint=f"pip install {error.name}, or unset KERAS_BACKEND.",
            ) from None


def _no_such_device(device: str) -> CharRNNError:
    return CharRNNError(
        f"--device is {device}, but {NAMES[chosen()]} has no such GPU here.", hint="charrnn devices says why."
    )


def _start_tensorflow(shards: int, float64: bool, device: str, processes: Processes) -> int:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # oneDNN's products are a tenth to a half faster here; builds differ in whether they use them unasked.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("gpu") and number >= len(gpus):
        raise _no_such_device(device)
    tf.config.set_visible_devices(gpus[number : number + 1], "GPU")
    for gpu in gpus[number : number + 1]:
        # Others may want some of its memory.
        tf.config.experimental.set_memory_growth(gpu, True)
    # A recurrent step's products are too small to share among threads; the shards are what runs in parallel.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(shards)
    import keras  # noqa: F401

    # The devices are set up at the first operation, and that talks too.
    tf.zeros(())
    return 1 if gpus else shards


def _start_jax(shards: int, float64: bool, device: str, processes: Processes) -> int:
    # Others may want some of a GPU's memory.
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
    jax.config.update("jax_num_cpu_devices", shards // processes.count)
    if processes.count > 1:
        processes.connect(device)
    import keras  # noqa: F401

    try:
        jax.numpy.zeros(())
    except (AssertionError, RuntimeError):
        if not device.startswith("gpu"):
            raise
        raise _no_such_device(device) from None
    if jax.device_count() != processes.count * jax.local_device_count():
        raise CharRNNError(
            f"Of {jax.device_count()} devices in {processes.count} processes this one has {jax.local_device_count()}.",
            hint="All need as many: the same number of cores (taskset) or of GPUs (--device).",
        )
    return jax.device_count()


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
