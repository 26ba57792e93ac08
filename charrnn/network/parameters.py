"""The parameters of a network: one table of their names, shapes, roles and first values.

They are named "embedding", "input/W", "layer0/W", "layer0/U", "layer0/b", ..., "output/W", "output/b". No code parses
these names: the row of the table says everything about a parameter.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np

from charrnn.cells import Cell
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.network.attention import attending, key_width
from charrnn.network.first_values import Constant, Orthogonal, Start, Uniform, identity, normal
from charrnn.network.stacks import layers_of


class Role(Enum):
    """The role of a parameter in the network."""

    EMBEDDING = "a vector for every symbol"
    INPUT = "projects the network's input to the fields that the lowest cell reads"
    KERNEL = "W of a layer: projects its input to its blocks"
    RECURRENT = "a matrix of a layer's step"
    VECTOR = "a bias, peephole or gain of a layer"
    ATTENTION = "makes queries, keys and values of a layer's output"
    DISTANCE = "a key for every distance of attention"
    OUTPUT = "projects the highest h to logits"
    OUTPUT_BIAS = "added to the logits"


@dataclass(frozen=True, eq=False)
class Parameter:
    """A row of the table.

    `place` is the part of the network that has it: "embedding", "input", "layer0", ..., "output"; `symbol` is its name
    there: in a layer, its name in the cell's equations. `layer` counts layers from 0, the lowest, and is None outside
    of layers. One parameter is `looked_up`: it has a row for every symbol; the last is the start symbol.
    `exists(units)` is False where a matrix has fixed zeros instead of parameters.
    """

    place: str
    symbol: str
    shape: tuple[int, ...]
    role: Role
    start: Start
    layer: int | None = None
    looked_up: bool = False
    exists: Callable[[int], np.ndarray] | None = None

    @property
    def name(self) -> str:
        """Return the name in checkpoints: "layer0/U"."""
        return self.symbol if self.role is Role.EMBEDDING else f"{self.place}/{self.symbol}"

    @property
    def mask(self) -> np.ndarray | None:
        """Return where the matrix has parameters, bool, of its shape; None if everywhere."""
        # Computed only on demand: it may be large, and a damaged checkpoint may claim any number of units.
        return self.exists(self.shape[0]) if self.exists else None

    @property
    def count(self) -> int:
        """Return the number of numbers that are learned."""
        mask = self.mask
        return math.prod(self.shape) if mask is None else int(mask.sum())

    @property
    def in_input_table(self) -> bool:
        """Return whether its products depend only on the symbol: `forward.input_table` has them, a row per symbol."""
        return self.role in (Role.EMBEDDING, Role.INPUT) or (self.role is Role.KERNEL and self.layer == 0)


def layer_name(layer: int, symbol: str) -> str:
    """Return the name of a layer's parameter: "layer0/U"."""
    return f"{_place(layer)}/{symbol}"


def _place(layer: int) -> str:
    return f"layer{layer}"


@lru_cache(64)
def parameters(model: ModelConfig, vocab_size: int) -> tuple[Parameter, ...]:
    """Return all parameters of a network in the order in which they are stored.

    The input has one row more than the vocabulary: the start symbol, which is read but never predicted. Raises
    CharRNNError if the cell cannot be used in this stack.
    """
    return tuple(_parameters(model, vocab_size))


def _parameters(model: ModelConfig, vocab_size: int) -> Iterator[Parameter]:
    units, layers = model.units, layers_of(model)
    # Looking up a row is the product with a one-hot input, which has a single number that is not zero.
    inputs, one_hot = vocab_size + 1, True
    if model.embedding is not None:
        yield Parameter("embedding", "embedding", (inputs, model.embedding), Role.EMBEDDING, normal, looked_up=True)
        inputs, one_hot = model.embedding, False
    if layers[0].raw:
        shape = (inputs, len(layers[0].raw) * units)
        yield Parameter("input", "W", shape, Role.INPUT, Uniform(1 if one_hot else inputs), looked_up=one_hot)
        inputs, one_hot = units, False
    for layer, cell in enumerate(layers):
        yield from _of_layer(cell, layer, units, inputs, one_hot)
        if model.attention is not None and layer == attending(model):
            keys = key_width(units)
            yield Parameter("attention", "W", (units, 2 * keys + units), Role.ATTENTION, Uniform(units))
            yield Parameter("attention", "R", (model.attention + 1, keys), Role.DISTANCE, Uniform(keys))
        inputs, one_hot = units, False
    outputs = model.outputs(vocab_size)
    yield Parameter("output", "W", (units, outputs), Role.OUTPUT, Uniform(units))
    yield Parameter("output", "b", (outputs,), Role.OUTPUT_BIAS, Constant((0.0,)))


def _of_layer(cell: Cell, layer: int, units: int, inputs: int, one_hot: bool) -> Iterator[Parameter]:
    """Yield the parameters of a layer that reads `inputs` numbers."""

    def named(symbol: str, shape: tuple[int, ...], role: Role, start: Start) -> Parameter:
        exists = cell.mask if symbol == "U" else None
        looked_up = one_hot and role is Role.KERNEL
        return Parameter(_place(layer), symbol, shape, role, start, layer, looked_up, exists)

    if cell.blocks:
        yield named("W", (inputs, cell.projected(units)), Role.KERNEL, Uniform(1 if one_hot else inputs))
    for symbol, matrix in cell.matrices.items():
        shape = matrix.shape(units)
        start: Start = identity if cell.identity and symbol == "U" else Orthogonal(len(matrix.blocks))
        yield named(symbol, shape, Role.RECURRENT, Uniform(shape[0]) if matrix.input else start)
    for symbol, vector in {**cell.vectors, **cell.zx_vectors}.items():
        yield named(symbol, (len(vector.starts) * units,), Role.VECTOR, Constant(vector.starts))
    if cell.blocks:
        yield named("b", (len(cell.blocks) * units,), Role.VECTOR, Constant(cell.bias))


def parameter_shapes(model: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are stored."""
    return {parameter.name: parameter.shape for parameter in parameters(model, vocab_size)}


def parameter_count(model: ModelConfig, vocab_size: int) -> int:
    """Return the number of numbers that the model learns."""
    return sum(parameter.count for parameter in parameters(model, vocab_size))


def useful_products(model: ModelConfig, vocab_size: int) -> int:
    """Return the multiply-adds of the matrix products of one character: recurrent, between layers, attention, output.

    A product that depends only on the symbol is a row look-up and does not count.
    """
    matrices = (parameter for parameter in parameters(model, vocab_size) if len(parameter.shape) == 2)
    scores_and_sums = 0 if model.attention is None else (model.attention + 1) * (key_width(model.units) + model.units)
    return scores_and_sums + sum(math.prod(matrix.shape) for matrix in matrices if not matrix.in_input_table)


def check_weights(weights: Mapping[str, np.ndarray], model: ModelConfig, vocab_size: int, where: str) -> None:
    """Raise CharRNNError unless `weights` are exactly the parameters of this model."""
    # A file may claim any number of layers, and a long table takes long. Each layer has at least one parameter.
    if model.layers > len(weights):
        raise CharRNNError(f"{where} does not have the parameters of its own model: {model.layers:,} layers.")
    expected = parameter_shapes(model, vocab_size)
    if set(weights) != set(expected):
        odd = sorted(set(weights) ^ set(expected))
        raise CharRNNError(f"{where} does not have the parameters of its own model: {', '.join(odd)}.")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CharRNNError(f"{where}: {name} has shape {weights[name].shape}; the model needs {shape}.")


def initial_weights(model: ModelConfig, vocab_size: int, seed: int) -> dict[str, np.ndarray]:
    """Return new float32 parameters; each depends only on the seed and on its place in the table."""
    return {
        parameter.name: parameter.start(
            parameter.shape, np.random.Generator(np.random.Philox(key=[seed, place]))
        ).astype(np.float32)
        for place, parameter in enumerate(parameters(model, vocab_size))
    }
