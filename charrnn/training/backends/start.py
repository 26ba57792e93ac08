"""The start of the chosen backend, and the number of shards of a batch."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError
from charrnn.lean import uncollected
from charrnn.runs.progress import Progress
from charrnn.training.backends.choice import choose
from charrnn.training.backends.contract import NoSuchDevice
from charrnn.training.backends.jax.distributed import ALONE, Processes

SHARD_ROWS = 16


def shard_count(batch: int, processes: int = 1, cores: int | None = None) -> int:
    """Return the number of shards of a batch on processors.

    Every process has one shard for each core, but at least 16 rows for each shard, and at least one shard. There are
    fewer if the backend cannot cut the rows so.
    """
    if batch % processes:
        near = [rows for rows in (batch // processes * processes, (batch // processes + 1) * processes) if rows]
        raise CharRNNError(
            f"`batch={batch}` cannot be divided evenly among {processes} processes.",
            hint=f"Use a multiple of {processes}, such as {' or '.join(map(str, near))}.",
        )
    rows = batch // processes
    count = max(1, min(cores or usable_cores(), rows // SHARD_ROWS))
    return processes * choose().shards(rows, count)


def cut(batch: int, devices: int, processes: int) -> int:
    """Return the number of shards of a batch for the devices that `start` found; one process may leave some idle."""
    count = choose().shards(batch, devices)
    if count == devices or processes == 1:
        return count
    raise CharRNNError(
        f"`batch={batch}` cannot be divided evenly among {devices} devices.", hint=f"Use a multiple of {devices}."
    )


def kept_shards(batch: int, progress: Progress, processes: int = 1) -> int:
    """Return the number of shards of a resumed run's batch: the same as before, if possible, to be exact."""
    recorded = progress.shards
    fits = recorded % processes == 0 and choose().shards(batch, recorded) == recorded
    # The number of GPUs says nothing about cores.
    return recorded if fits and progress.device in (None, "cpu") else shard_count(batch, processes)


def start(shards: int, float64: bool = False, device: str = "auto", processes: Processes = ALONE) -> int:
    """Import keras and its backend quietly; return the number of shards of a batch.

    On processors it is `shards`, for all processes together: TensorFlow computes them in as many parallel threads, each
    operation in one thread; for JAX each is a device. On GPUs it is one for each GPU; TensorFlow uses one GPU. With
    `float64` the backend can compute in float64 too (without it, JAX silently uses float32).

    It may be called again for another batch: then TensorFlow keeps its number of threads, whatever the number of
    shards, and JAX keeps its devices, so that there may be fewer shards. Raises CharRNNError if the backend or the
    device does not exist, or if this process already computes on another device.
    """
    global _computes_on
    backend = choose()
    # With several processes, the output of native code is held back already.
    with uncollected(), nullcontext() if processes.count > 1 else stderr_held_back():
        try:
            count = backend.start(shards, float64, device, processes)
            here = "gpu" if backend.engine().on_gpu() else "cpu"
        except ModuleNotFoundError as error:
            raise CharRNNError(
                f"KERAS_BACKEND is {backend.name!r}, but {error.name} is not installed.",
                hint=f"pip install {error.name}, or unset KERAS_BACKEND.",
            ) from None
        except NoSuchDevice:
            raise CharRNNError(
                f"`device` is {device}, but {backend.title} finds no such GPU here.", hint="To see why: charrnn devices"
            ) from None
    another_gpu = ":" in device and device != (_computes_on or device)
    if device.partition(":")[0] not in ("auto", here) or another_gpu:
        raise CharRNNError(
            f"`device` is {device}, but {backend.title} computes on {_computes_on or here} in this Python process.",
            hint="Restart Python to change it.",
        )
    _computes_on = _computes_on or (here if device == "auto" else device)
    return count


# The device that was first asked for: a backend keeps it.
_computes_on: str | None = None


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hide what native code writes to descriptor 2 unless it fails: TensorFlow writes there at every log level.

    Errors that charrnn explains itself stay without it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (CharRNNError, ModuleNotFoundError, NoSuchDevice):
            raise
        except Exception:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            ctypes.CDLL(None).fflush(None)
            os.dup2(saved, 2)
            os.close(saved)
