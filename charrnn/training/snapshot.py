"""The arrays of a training state: out of Keras into a checkpoint, and back."""

from typing import Any

import keras
import numpy as np
from keras import ops

from charrnn.cells import Cell
from charrnn.errors import CharRNNError
from charrnn.network.stacks import layers_of
from charrnn.runs.checkpoint import Checkpoint
from charrnn.training.backends.current import Shards
from charrnn.training.step import States

Arrays = dict[str, np.ndarray]


def read_slots(optimizer: keras.optimizers.Optimizer) -> Arrays:
    """Return the optimizer's variables, named by place: Keras names them after layers, numbered as they come."""
    return {f"{place:03d}": ops.convert_to_numpy(variable) for place, variable in enumerate(optimizer.variables)}


def write_slots(optimizer: keras.optimizers.Optimizer, slots: Arrays, name: str) -> None:
    """Set the optimizer's variables; CharRNNError, with the optimizer's name, if these are not its slots."""
    shapes = {place: slot.shape for place, slot in slots.items()}
    if shapes != {place: slot.shape for place, slot in read_slots(optimizer).items()}:
        raise CharRNNError(
            f"The checkpoint's {len(shapes)} optimizer slots are not the {len(optimizer.variables)} of {name}.",
            hint="It was written with another version of Keras; train anew.",
        )
    for place, variable in enumerate(optimizer.variables):
        variable.assign(slots[f"{place:03d}"])


def read_states(states: States, shards: Shards) -> Arrays:
    """Return the hidden state of all streams, (batch, units) for each layer and field, the shards put together."""
    return {
        f"layer{layer}/{field}": array
        for layer, state in enumerate(shards.gathered(states))
        for field, array in state._asdict().items()
    }


def states_of(checkpoint: Checkpoint, shards: Shards) -> States:
    """Return the hidden state that `read_states` gave a checkpoint, cut into shards again."""

    def state(layer: int, cell: Cell) -> Any:
        return cell.state(*(checkpoint.state[f"layer{layer}/{field}"] for field in cell.state_fields))

    return shards.state([state(layer, cell) for layer, cell in enumerate(layers_of(checkpoint.model))])


def is_finite(*parts: Arrays) -> bool:
    """Return whether all numbers of some arrays are finite."""
    return all(bool(np.isfinite(array).all()) for part in parts for array in part.values())
