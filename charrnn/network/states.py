"""The hidden state of a network: what it remembers of the characters before, in each layer and for attention.

In training, what a classifier has pooled of its document is part of it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charrnn.cells.cell import Clocked
from charrnn.config import ModelConfig
from charrnn.network.attention import Memory, memory_shapes
from charrnn.network.pooling import Pool, pool_shapes
from charrnn.network.stacks import layers_of

# The fields that count, whatever the parameters are: nothing of a gradient with respect to them reaches a parameter.
_COUNTERS: dict[type[Any], str] = {Clocked: "k", Memory: "seen", Pool: "count"}


def state_shapes(model: ModelConfig, batch: int) -> list[Any]:
    """Return the shapes of the state of `batch` texts in training.

    They are those of each layer's cell, then with attention of a `Memory`, then with classes of a `Pool`.
    """
    shape = batch, model.units
    shapes: list[Any] = [cell.state(*(shape for _ in cell.state_fields)) for cell in layers_of(model)]
    shapes += [] if model.attention is None else [memory_shapes(model, batch)]
    return shapes + ([] if model.classes is None else [pool_shapes(len(model.classes), batch)])


def initial_states(xp: Any, model: ModelConfig, batch: int, dtype: Any) -> list[Any]:
    """Return the state before a text: zeros, or the cell's `initial`."""
    first = [*(cell.initial for cell in layers_of(model)), {}, {}]
    return [
        type(shapes)(*(xp.full(shape, starts.get(name, 0.0), dtype=dtype) for name, shape in shapes._asdict().items()))
        for shapes, starts in zip(state_shapes(model, batch), first, strict=False)
    ]


def named(states: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of a state by name: "layer0/h", ..., "attention/keys", ..."""
    return {f"{place}/{field}": value for place, state in _placed(states) for field, value in state._asdict().items()}


def from_named(model: ModelConfig, fields: Mapping[str, Any]) -> list[Any]:
    """Return the state whose fields these are, by name."""
    return [
        type(state)(*(fields[f"{place}/{field}"] for field in state._fields))
        for place, state in _placed(state_shapes(model, 1))
    ]


def counters(model: ModelConfig) -> list[str]:
    """Return the names of the fields that no parameter changes: of a clockwork network "layer0/k", ..."""
    placed = _placed(state_shapes(model, 1))
    return [f"{place}/{_COUNTERS[type(state)]}" for place, state in placed if type(state) in _COUNTERS]


def _placed(states: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the place of each part in the network, and the part."""
    names = {Memory: "attention", Pool: "pool"}
    for number, state in enumerate(states):
        yield names.get(type(state), f"layer{number}"), state
