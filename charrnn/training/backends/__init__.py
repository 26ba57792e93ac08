"""The backends that train: each folder offers what `contract.py` names."""

# SHIM until the contract lands.
import os

from charrnn.errors import CharRNNError
from charrnn.training.backends.start import (  # noqa: F401
    BACKENDS,
    NAMES,
    check_device,
    check_processes,
    chosen,
    cut,
    kept_shards,
    shard_count,
    start,
)

DEFAULT = "tensorflow"


def check_backend(name):
    if name is not None and name not in BACKENDS:
        raise CharRNNError(f"`backend` is {name!r}; it must be one of {', '.join(BACKENDS)}.")


def choose(name=None, recorded=None):
    wanted = name or os.environ.get("KERAS_BACKEND") or recorded or DEFAULT
    os.environ["KERAS_BACKEND"] = wanted
    return chosen()


def title():
    return NAMES[chosen()]


def device():
    from charrnn.training.backends.current import on_gpu

    return "gpu" if on_gpu() else "cpu"
