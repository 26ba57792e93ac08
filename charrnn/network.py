"""The network: embedding -> stacked cells -> logits, over any array namespace; its parameters' names and shapes.

Parameters are named "embedding", "layer0/W", "layer0/U", "layer0/b", ..., "output/W", "output/b". Time comes first in
every sequence: ids are (time, batch), activations (time, batch, units).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from charrnn.cells import CELLS, Array, Cell
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError

Scan = Callable[..., tuple[Array, Any]]


def parameter_shapes(model: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are stored.

    The input has a row more than the vocabulary: the start symbol, which is read but never predicted.
    """
    cell, units = CELLS[model.cell], model.units
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = vocab_size + 1
    if model.embedding is not None:
        shapes["embedding"] = (inputs, model.embedding)
        inputs = model.embedding
    for layer in range(model.layers):
        shapes[f"layer{layer}/W"] = (inputs, cell.gates * units)
        for name, blocks in cell.matrices.items():
            shapes[f"layer{layer}/{name}"] = (units, blocks * units)
        for name, vector in cell.vectors.items():
            shapes[f"layer{layer}/{name}"] = (vector.blocks * units,)
        shapes[f"layer{layer}/b"] = (cell.gates * units,)
        inputs = units
    shapes["output/W"] = (units, vocab_size)
    shapes["output/b"] = (vocab_size,)
    return shapes


def parameter_count(model: ModelConfig, vocab_size: int) -> int:
    """Return how many numbers the model learns."""
    return sum(int(np.prod(shape)) for shape in parameter_shapes(model, vocab_size).values())


def useful_products(model: ModelConfig, vocab_size: int) -> int:
    """Return the multiply-adds a character costs in matrix products: recurrent, between layers, output.

    The first layer's product is a row look-up and does not count (DESIGN, "Measuring").
    """
    shapes = parameter_shapes(model, vocab_size)
    looked_up = {"embedding", "layer0/W"}
    return sum(shape[0] * shape[1] for name, shape in shapes.items() if len(shape) == 2 and name not in looked_up)


def check_weights(weights: Mapping[str, np.ndarray], model: ModelConfig, vocab_size: int, where: str) -> None:
    """Raise CharRNNError unless `weights` are just the parameters of this model."""
    expected = parameter_shapes(model, vocab_size)
    if set(weights) != set(expected):
        odd = sorted(set(weights) ^ set(expected))
        raise CharRNNError(f"{where} does not hold the parameters of its own model: {', '.join(odd)}.")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CharRNNError(f"{where}: {name} has shape {weights[name].shape}; the model needs {shape}.")


def initial_weights(model: ModelConfig, vocab_size: int, seed: int) -> dict[str, np.ndarray]:
    """Return fresh float32 parameters; each is a function of (seed, its place) alone, whatever the backend.

    Input and output matrices: uniform of variance 1 / inputs (LeCun et al. 1998), where a one-hot input counts as one.
    Recurrent blocks: orthogonal (Saxe et al. 2014).
    """
    cell, units = CELLS[model.cell], model.units
    weights = {}
    for place, (name, shape) in enumerate(parameter_shapes(model, vocab_size).items()):
        rng = np.random.Generator(np.random.Philox(key=[seed, place]))
        parameter = name.rpartition("/")[2]
        if name == "embedding":
            value = rng.normal(0.0, 1.0, shape)
        elif name == "output/b":
            value = np.zeros(shape)
        elif parameter == "b":
            value = np.repeat(cell.bias, units)
        elif parameter in cell.matrices:
            square = np.eye if cell.identity else partial(_orthogonal, rng)
            value = np.concatenate([square(units) for _ in range(cell.matrices[parameter])], axis=1)
        elif parameter in cell.vectors:
            value = np.full(shape, cell.vectors[parameter].start)
        else:
            one_hot = name == "layer0/W" and model.embedding is None
            limit = np.sqrt(3.0 / (1 if one_hot else shape[0]))
            value = rng.uniform(-limit, limit, shape)
        weights[name] = value.astype(np.float32)
    return weights


def _orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(size, size)))
    # Without the signs of r the distribution would not be uniform over orthogonal matrices (Mezzadri 2007).
    return q * np.sign(np.diag(r))


def layer_parameters(cell: Cell, weights: Mapping[str, Array], layer: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the recurrent matrices and the vectors of a layer, by their names in the cell's equations."""
    matrices = {name: weights[f"layer{layer}/{name}"] for name in cell.matrices}
    vectors = {name: weights[f"layer{layer}/{name}"] for name in cell.widths}
    return matrices, vectors


def input_table(xp: Any, model: ModelConfig, weights: Mapping[str, Array]) -> Array:
    """Return the first layer's projected input for every symbol, (vocab + 1, gates * units): a look-up, no product."""
    w = weights["layer0/W"]
    table = xp.matmul(weights["embedding"], w) if "embedding" in weights else w
    return table if CELLS[model.cell].own_bias else table + weights["layer0/b"]


def project(xp: Any, x: Array, w: Array, b: Array | None) -> Array:
    """Return x W + b for x (time, batch, n) as one large product, (time, batch, m)."""
    product = xp.matmul(xp.reshape(x, (-1, x.shape[-1])), w)
    return xp.reshape(product if b is None else xp.add(product, b), (*x.shape[:-1], w.shape[-1]))


def zero_state(xp: Any, model: ModelConfig, batch: int, dtype: Any) -> list[Any]:
    """Return the state before a text: zeros, one state a layer, each field (batch, units)."""
    cell = CELLS[model.cell]
    return [
        cell.state(*(xp.zeros((batch, model.units), dtype=dtype) for _ in cell.state_fields))
        for _ in range(model.layers)
    ]


def forward(
    xp: Any,
    model: ModelConfig,
    weights: Mapping[str, Array],
    ids: Array,
    states: Sequence[Any],
    scan: Scan,
    dropout: Callable[[int, Array], Array] = lambda layer, x: x,
    reset: Array | None = None,
    table: Array | None = None,
) -> tuple[Array, list[Any]]:
    """Return the logits that follow each of `ids`, (time, batch, vocab), and the states after the last.

    `scan(cell, zx, state, matrices, vectors, reset)` runs a cell over time; `dropout(layer, x)` masks a layer's output;
    `reset` (time, batch) is true where a document begins and the state returns to zero; `table` is the input table, if
    it is at hand already.
    """
    cell = CELLS[model.cell]
    zx = xp.take(input_table(xp, model, weights) if table is None else table, ids, axis=0)
    x: Array = None
    after = []
    for layer in range(model.layers):
        if layer:
            b = None if cell.own_bias else weights[f"layer{layer}/b"]
            zx = project(xp, x, weights[f"layer{layer}/W"], b)
        matrices, vectors = layer_parameters(cell, weights, layer)
        x, state = scan(cell, zx, states[layer], matrices, vectors, reset)
        x = dropout(layer, x)
        after.append(state)
    return project(xp, x, weights["output/W"], weights["output/b"]), after
