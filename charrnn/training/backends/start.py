"""Starting the backend that was chosen, and into how many shards it cuts a batch."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError
from charrnn.runs.progress import Progress
from charrnn.training.backends.choice import choose
from charrnn.training.backends.contract import NoSuchDevice
from charrnn.training.backends.jax.distributed import ALONE, Processes

SHARD_ROWS = 16


def shard_count(batch: int, processes: int = 1, cores: int | None = None) -> int:
    """Return into how many shards a batch is cut on processors.

    In every process one for each of its cores, as far as there are 16 rows for each, and at least one; it is less
    where the backend cannot cut the rows so.
    """
    if batch % processes:
        near = [rows for rows in (batch // processes * processes, (batch // processes + 1) * processes) if rows]
        raise CharRNNError(
            f"`batch={batch}` cannot be shared evenly by {processes} processes.",
            hint=f"Use a multiple of {processes}, such as {' or '.join(map(str, near))}.",
        )
    rows = batch // processes
    count = max(1, min(cores or usable_cores(), rows // SHARD_ROWS))
    return processes * choose().shards(rows, count)


def cut(batch: int, devices: int, processes: int) -> int:
    """Return into how many shards a batch is cut for what `start` found; one process may leave some devices idle."""
    count = choose().shards(batch, devices)
    if count == devices or processes == 1:
        return count
    raise CharRNNError(
        f"`batch={batch}` cannot be shared evenly by {devices} devices.", hint=f"Use a multiple of {devices}."
    )


def kept_shards(batch: int, progress: Progress, processes: int = 1) -> int:
    """Return into how many shards a resumed run's batch is cut: as many as before, if that can be, to be exact."""
    recorded = progress.shards
    fits = recorded % processes == 0 and choose().shards(batch, recorded) == recorded
    # One for each GPU says nothing of cores.
    return recorded if fits and progress.device in (None, "cpu") else shard_count(batch, processes)


def start(shards: int, float64: bool = False, device: str = "auto", processes: Processes = ALONE) -> int:
    """Import keras and its backend quietly; return into how many shards a batch is to be cut.

    On processors these are `shards`, of all processes together: TensorFlow computes them with as many threads side by
    side, each operation on one of them; for JAX each is a device. On GPUs it is one a GPU; TensorFlow uses one GPU.
    With `float64` the backend can compute with that as well (JAX otherwise quietly does not).

    It may be called again, for another batch: TensorFlow then keeps its number of threads, whatever the number of
    shards, and JAX its devices, so that there may be fewer shards. Raises CharRNNError when the backend or the device
    is not there, or the device is another one than that on which this process computes already.
    """
    global _computes_on
    backend = choose()
    # Of several processes all native talk is held back already.
    with nullcontext() if processes.count > 1 else _stderr_held_back():
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
                f"`device` is {device}, but {backend.title} has no such GPU here.", hint="charrnn devices says why."
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
def _stderr_held_back() -> Iterator[None]:
    """Keep back what native code writes to descriptor 2 (TensorFlow greets there at any log level) unless it fails.

    Failures that are explained to users need no more words.
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
