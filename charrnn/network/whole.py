"""A whole network as one cell, so that a tracer sees all of it: its layers, the products between them, its output."""

from dataclasses import replace
from typing import Any, NamedTuple

from charrnn.cells import Array, ArrayNamespace, Cell
from charrnn.cells.cell import Dot, Vectors
from charrnn.cells.trace import Trace
from charrnn.config import ModelConfig
from charrnn.network.attention import attending, key_width
from charrnn.network.composite import state_type_of
from charrnn.network.forward import from_product
from charrnn.network.parameters import Role, layer_name, parameters
from charrnn.network.stacks import layers_of

LOGITS = "logits"
# With attention: what takes the place of a matrix in the product that adds what the network looks back at. Its left
# operand is query, key and value.
LOOK_BACK = "look back"


class Shape(NamedTuple):
    """A matrix of this shape, whatever the number of units."""

    rows: int
    columns: int

    def shape(self, units: int) -> tuple[int, int]:
        return self.rows, self.columns


class Width(NamedTuple):
    """A vector of this length, whatever the number of units."""

    columns: int

    def width(self, units: int) -> int:
        return self.columns


def field_name(layer: int, field: str) -> str:
    """Return the name of a field of a layer's state in the state of the whole network."""
    return f"{field}_of_{layer}"


def whole(model: ModelConfig, vocab_size: int) -> Cell:
    """Return a network as a cell: its zx is a row of the input table, and its state has the logits as last field.

    Its matrices and vectors have the names of the network's parameters. The old logits are not read.
    """
    layers = layers_of(model)
    fields = [field_name(layer, name) for layer, cell in enumerate(layers) for name in cell.state_fields]
    state_type = state_type_of([*fields, LOGITS])

    def step(xp: ArrayNamespace, zx: Array, state: Any, dot: Dot, w: Vectors) -> Any:
        after: list[Array] = []
        x, below, read = None, None, 0
        for layer, cell in enumerate(layers):
            own = cell.state(*state[read : read + len(cell.state_fields)])
            read += len(cell.state_fields)
            if layer:
                parts = []
                if cell.blocks:
                    parts.append(from_product(xp, cell, w, layer, dot(x, layer_name(layer, "W"))))
                parts += [x if name == "h" else getattr(below, name) for name in cell.raw]
                zx = parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=-1)
            vectors = {name: w[layer_name(layer, name)] for name in cell.vectors}

            def own_dot(vector: Array, name: str, layer: int = layer) -> Array:
                return dot(vector, layer_name(layer, name))

            below = cell.step(xp, zx, own, own_dot, vectors)
            after += below
            h = below.h
            if layer == attending(model):
                h = h + dot(dot(h, "attention/W"), LOOK_BACK)
            x = x + h if layer and model.stack == "residual" else h
        return state_type(*after, dot(x, "output/W") + w["output/b"])

    matrices: dict[str, Any] = {}
    vectors: dict[str, Any] = {}
    for parameter in parameters(model, vocab_size):
        # The input table has what belongs to the lowest layer's input.
        if not parameter.in_input_table and parameter.role is not Role.DISTANCE:
            if len(parameter.shape) == 2:
                matrices[parameter.name] = Shape(*parameter.shape)
            else:
                vectors[parameter.name] = Width(*parameter.shape)
    if model.attention is not None:
        matrices[LOOK_BACK] = Shape(2 * key_width(model.units) + model.units, model.units)
    return replace(
        layers[0],
        name="network",
        step=step,
        state=state_type,
        matrices=matrices,
        vectors=vectors,
        initial={
            field_name(layer, name): value for layer, cell in enumerate(layers) for name, value in cell.initial.items()
        },
    )


def trace_of(model: ModelConfig, vocab_size: int) -> tuple[Cell, Trace]:
    """Return a network as a cell, and its trace."""
    cell = whole(model, vocab_size)
    return cell, Trace(cell, model.units, {LOGITS: model.outputs(vocab_size)})
