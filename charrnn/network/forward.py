"""The forward pass: embedding -> stacked cells (and attention) -> logits, over any array namespace.

Time comes first in every sequence: ids are (time, batch), activations (time, batch, units).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from charrnn.cells import Array, Cell
from charrnn.config import ModelConfig
from charrnn.network.attention import Attend, attend, attending
from charrnn.network.parameters import layer_name
from charrnn.network.products import project
from charrnn.network.stacks import layers_of

Scan = Callable[..., tuple[list[Array], Any]]


def layer_parameters(
    xp: Any, cell: Cell, weights: Mapping[str, Array], layer: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the recurrent matrices and the vectors of a layer's step, by their names in the cell's equations."""
    matrices = cell.masked(xp, {name: weights[layer_name(layer, name)] for name in cell.matrices})
    return matrices, {name: weights[layer_name(layer, name)] for name in cell.vectors}


def from_product(xp: Any, cell: Cell, weights: Mapping[str, Array], layer: int, wx: Array) -> Array:
    """Return the projected part of a layer's zx from the product W x."""
    return cell.zx(xp, wx, {name: weights[layer_name(layer, name)] for name in ("b", *cell.zx_vectors)})


def _zx(
    xp: Any, cell: Cell, weights: Mapping[str, Array], layer: int, x: Array | None, below: Mapping[str, Array]
) -> Array:
    """Return zx, the input of a layer's steps, for x, (..., inputs), or for every one-hot row if x is None."""
    parts = []
    if cell.blocks:
        w = weights[layer_name(layer, "W")]
        parts.append(from_product(xp, cell, weights, layer, w if x is None else project(xp, x, w)))
    parts += [below[name] for name in cell.raw]
    return parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=-1)


def input_table(xp: Any, model: ModelConfig, weights: Mapping[str, Array]) -> Array:
    """Return the first layer's zx for every symbol, (vocab + 1, its width): a look-up replaces the product."""
    cell, x, below = layers_of(model)[0], weights.get("embedding"), {}
    if cell.raw:
        rows = weights["input/W"] if x is None else xp.matmul(x, weights["input/W"])
        below = dict(zip(cell.raw, xp.split(rows, len(cell.raw), axis=-1), strict=True))
        x = below["h"]
    return _zx(xp, cell, weights, 0, x, below)


def emitted(layers: Sequence[Cell], layer: int) -> list[str]:
    """Return the fields of a layer's state that it outputs: h, and those that the layer above reads unprojected."""
    above = layers[layer + 1].raw if layer + 1 < len(layers) else ()
    return ["h", *(name for name in above if name != "h")]


def forward(
    xp: Any,
    model: ModelConfig,
    weights: Mapping[str, Array],
    ids: Array,
    states: Sequence[Any],
    scan: Scan,
    dropout: Callable[[int, Array], Array] | None = None,
    reset: Array | None = None,
    table: Array | None = None,
    attention: Attend = attend,
) -> tuple[Array, list[Any]]:
    """Return the logits that follow each of `ids`, (time, batch, vocab), and the states after the last.

    `scan(cell, zx, state, matrices, vectors, reset, emitted)` runs a cell over time; `dropout(layer, x)` masks a
    layer's output; `reset` (time, batch) is true where a document begins and the state returns to its initial value;
    `table` is the input table, if the caller has it already. `attention` is called instead of `attend`, if the model
    has attention.
    """
    layers, after, memories = layers_of(model), [], []
    x: Array = None
    below: dict[str, Array] = {}
    for layer, cell in enumerate(layers):
        names = emitted(layers, layer)
        if layer:
            zx = _zx(xp, cell, weights, layer, x, below)
        else:
            zx = xp.take(input_table(xp, model, weights) if table is None else table, ids, axis=0)
            if dropout and len(layers) < model.layers:
                zx = xp.concatenate([zx, *_masks(xp, model, zx, dropout)], axis=-1)
        outputs, state = scan(cell, zx, states[layer], *layer_parameters(xp, cell, weights, layer), reset, names)
        after.append(state)
        below = dict(zip(names, outputs, strict=True))
        if layer == attending(model):
            below["h"], memory, _ = attention(xp, weights, below["h"], states[len(layers)], reset)
            memories.append(memory)
        if dropout:
            # The output reads the highest layer, even where one cell contains several layers.
            below["h"] = dropout(model.layers - len(layers) + layer, below["h"])
        x = below["h"] = below["h"] + x if model.stack == "residual" and layer else below["h"]
    return xp.add(project(xp, x, weights["output/W"]), weights["output/b"]), [*after, *memories]


def _masks(xp: Any, model: ModelConfig, zx: Array, dropout: Callable[[int, Array], Array]) -> list[Array]:
    """Return the masks of the outputs between layers that are one cell; the cell applies them itself."""
    ones = xp.ones((*zx.shape[:-1], model.units), dtype=zx.dtype)
    return [dropout(layer, ones) for layer in range(model.layers - 1)]
