"""The hidden state of a network: what it remembers of the characters before, in each layer and for attention."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charrnn.config import ModelConfig
from charrnn.network.attention import Memory, memory_shapes
from charrnn.network.stacks import layers_of


def state_shapes(model: ModelConfig, batch: int) -> list[Any]:
    """Return the shapes of the state of `batch` texts: those of each layer's cell, and with attention of a `Memory`."""
    shape = batch, model.units
    shapes: list[Any] = [cell.state(*(shape for _ in cell.state_fields)) for cell in layers_of(model)]
    return shapes if model.attention is None else [*shapes, memory_shapes(model, batch)]


def initial_states(xp: Any, model: ModelConfig, batch: int, dtype: Any) -> list[Any]:
    """Return the state before a text: zeros, or the cell's `initial`."""
    first = [*(cell.initial for cell in layers_of(model)), {}]
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


def _placed(states: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the place of each part in the network, and the part."""
    for number, state in enumerate(states):
        yield ("attention" if isinstance(state, Memory) else f"layer{number}"), state
