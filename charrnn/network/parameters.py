"""The network: embedding -> stacked cells -> logits, over any array namespace; its parameters' names and shapes.

Parameters are named "embedding", "layer0/W", "layer0/U", "layer0/b", ..., "output/W", "output/b"; where a cell reads
what is below as it is, "input/W" projects the network's input to that. Time comes first in every sequence: ids are
(time, batch), activations (time, batch, units).
"""

from collections.abc import Mapping

import numpy as np

from charrnn.cells import Cell
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.network.stacks import layers_of


def parameter_shapes(model: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are stored.

    The input has a row more than the vocabulary: the start symbol, which is read but never predicted.
    """
    units, layers = model.units, layers_of(model)
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = vocab_size + 1
    if model.embedding is not None:
        shapes["embedding"] = (inputs, model.embedding)
        inputs = model.embedding
    if layers[0].raw:
        shapes["input/W"] = (inputs, len(layers[0].raw) * units)
        inputs = units
    for layer, cell in enumerate(layers):
        own: dict[str, tuple[int, ...]] = {}
        if cell.blocks:
            own["W"] = (inputs, cell.projected(units))
        own |= {name: matrix.shape(units) for name, matrix in cell.matrices.items()}
        vectors = {**cell.vectors, **cell.zx_vectors}
        own |= {name: (len(vector.starts) * units,) for name, vector in vectors.items()}
        if cell.blocks:
            own["b"] = (len(cell.blocks) * units,)
        shapes |= {f"layer{layer}/{name}": shape for name, shape in own.items()}
        inputs = units
    shapes["output/W"] = (units, vocab_size)
    shapes["output/b"] = (vocab_size,)
    return shapes


def parameter_count(model: ModelConfig, vocab_size: int) -> int:
    """Return how many numbers the model learns."""
    masked = sum(int((~cell.mask(model.units)).sum()) for cell in layers_of(model) if cell.mask)
    return sum(int(np.prod(shape)) for shape in parameter_shapes(model, vocab_size).values()) - masked


def input_matrix(model: ModelConfig) -> str:
    """Return the name of the matrix that has a row for every symbol, which is looked up."""
    if model.embedding is not None:
        return "embedding"
    return "input/W" if layers_of(model)[0].raw else "layer0/W"


def useful_products(model: ModelConfig, vocab_size: int) -> int:
    """Return the multiply-adds a character costs in matrix products: recurrent, between layers, output.

    What depends on the symbol alone is a row look-up and does not count (DESIGN, "Measuring").
    """
    shapes = parameter_shapes(model, vocab_size)
    looked_up = {"embedding", "input/W", "layer0/W"}
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
    layers, weights = layers_of(model), {}
    for place, (name, shape) in enumerate(parameter_shapes(model, vocab_size).items()):
        rng = np.random.Generator(np.random.Philox(key=[seed, place]))
        layer, _, parameter = name.rpartition("/")
        if name == "embedding":
            value = rng.normal(0.0, 1.0, shape)
        elif name == "output/b":
            value = np.zeros(shape)
        elif layer.startswith("layer") and parameter != "W":
            value = _start_of(layers[int(layer[5:])], parameter, shape, model.units, rng)
        else:
            value = _uniform(shape, 1 if name == input_matrix(model) else shape[0], rng)
        weights[name] = value.astype(np.float32)
    return weights


def _start_of(cell: Cell, parameter: str, shape: tuple[int, ...], units: int, rng: np.random.Generator) -> np.ndarray:
    """Return what a parameter of a cell, other than W, starts as."""
    if parameter in cell.matrices:
        matrix = cell.matrices[parameter]
        if matrix.input:
            return _uniform(shape, shape[0], rng)
        if cell.identity and parameter == "U":
            return np.eye(units)
        block = (shape[0], shape[1] // len(matrix.blocks))
        return np.concatenate([_orthogonal(block, rng) for _ in matrix.blocks], axis=1)
    starts = {"b": cell.bias} | {name: v.starts for name, v in {**cell.vectors, **cell.zx_vectors}.items()}
    return np.repeat(starts[parameter], units)


def _uniform(shape: tuple[int, ...], inputs: int, rng: np.random.Generator) -> np.ndarray:
    limit = np.sqrt(3.0 / inputs)
    return rng.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a matrix whose columns, or rows if there are fewer, are orthonormal."""
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    # Without the signs of r the distribution would not be uniform over orthogonal matrices (Mezzadri 2007).
    q = q * np.sign(np.diag(r))
    return q if shape[0] >= shape[1] else q.T


def state_shapes(model: ModelConfig, batch: int) -> dict[str, tuple[int, int]]:
    """Return the shape of every part of the hidden state of `batch` texts, by name: "layer0/h", ..."""
    return {
        f"layer{layer}/{name}": (batch, model.units)
        for layer, cell in enumerate(layers_of(model))
        for name in cell.state_fields
    }
