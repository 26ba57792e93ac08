"""Checks of a checkpoint: its bytes, its shapes and its numbers."""

from pathlib import Path

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.network.parameters import check_weights
from charrnn.network.states import named, state_shapes
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint


def fault(path: Path) -> CharRNNError | None:
    """Return the error of a checkpoint (format, digests, shapes, numbers that are not finite), or None."""
    try:
        check(read_checkpoint(path, training=True), path)
    except CharRNNError as error:
        return error
    return None


def check(checkpoint: Checkpoint, path: Path) -> None:
    """Raise CharRNNError unless a checkpoint that was read whole has the shapes of its model and finite numbers."""
    check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
    _check_state(checkpoint, path)
    for part in (checkpoint.weights, checkpoint.slots, checkpoint.state):
        for name, array in part.items():
            if not np.isfinite(array).all():
                raise CharRNNError(f"{path}: {name} has numbers that are not finite.")


def _check_state(checkpoint: Checkpoint, path: Path) -> None:
    """Raise CharRNNError unless the hidden state has the shapes of the model and its training."""
    if checkpoint.training is None:
        return
    expected = named(state_shapes(checkpoint.model, checkpoint.training.batch))
    found = {name: array.shape for name, array in checkpoint.state.items()}
    if found != expected:
        raise CharRNNError(f"{path}: its hidden state has shapes {found}; the model needs {expected}.")
