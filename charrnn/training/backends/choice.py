"""The choice of the backend and the device, before anything imports keras, and without importing it."""

import os
import sys

from charrnn.errors import CharRNNError, did_you_mean
from charrnn.training.backends.contract import Backend
from charrnn.training.backends.jax.backend import Jax
from charrnn.training.backends.jax.distributed import Processes
from charrnn.training.backends.tensorflow.backend import TensorFlow

# The first is the default.
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (TensorFlow(), Jax())}
DEFAULT = next(iter(BACKENDS))


def choose(backend: str | None = None, recorded: str | None = None) -> Backend:
    """Return the backend that trains, and make Keras and child processes use the same one.

    It is `backend`, if given; else the one in KERAS_BACKEND; else the one that trained the resumed run; else
    TensorFlow. CharRNNError if charrnn does not have it, or Keras already runs on another one.
    """
    name = backend or os.environ.get("KERAS_BACKEND") or (recorded if recorded in BACKENDS else DEFAULT)
    names = " or ".join(BACKENDS)
    if backend and backend not in BACKENDS:
        raise CharRNNError(
            f"There is no backend {backend!r}; charrnn trains with {names}.",
            hint=did_you_mean(backend.lower(), BACKENDS) or f"Use {names}.",
        )
    if name not in BACKENDS:
        raise CharRNNError(f"KERAS_BACKEND is {name!r}; charrnn trains with {names}.", hint="Unset KERAS_BACKEND.")
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != name:
        raise CharRNNError(
            f"Keras already runs on {keras.backend.backend()} in this Python process; it cannot change to {name}.",
            hint="Restart Python, and choose the backend before anything imports keras.",
        )
    os.environ["KERAS_BACKEND"] = name
    return BACKENDS[name]


def check_device(device: str) -> None:
    """Raise CharRNNError unless `device` is auto, cpu, gpu, or a GPU by its number."""
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "gpu") and not (kind == "gpu" and number.isdecimal()):
        raise CharRNNError(f"`device` is {device!r}; it must be auto, cpu, gpu, or one GPU: gpu:0, gpu:1, …")


def check_processes(processes: Processes) -> None:
    """Raise CharRNNError if the backend cannot train in several processes."""
    backend = choose()
    if processes.count > 1 and not backend.several_processes:
        able = next(other for other in BACKENDS.values() if other.several_processes)
        raise CharRNNError(
            f"Only {able.title} can train in {processes.count} processes; the backend here is {backend.title}.",
            hint=f"pip install 'charrnn[{able.name}]' (or {able.name}-cuda), then `backend='{able.name}'`",
        )
