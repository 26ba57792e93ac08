"""The network as Keras sees it: its parameters as Keras variables, and each cell as an ordinary Keras cell."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from charrnn import network
from charrnn.cells import CELLS, Vector
from charrnn.config import ModelConfig
from charrnn.training.engine import look_up, matmul, scan, xp
from charrnn.training.library import Library

# What matrix products are computed in, by the names that users know; None is what their operands are.
PRODUCTS = {"float32": None, "bf16": "bfloat16"}


class NetworkOps:
    """The namespace `xp` of the network in training: the backend's, but for the look-up and for products."""

    def __init__(self, products: str | None):
        self.products = products

    def take(self, x: Any, indices: Any, axis: int) -> Any:
        return look_up(x, indices)

    def matmul(self, x: Any, w: Any) -> Any:
        return matmul(x, w, self.products)

    def __getattr__(self, name: str) -> Any:
        return getattr(xp, name)


class CharRNN(keras.layers.Layer):
    """Embedding, stacked cells and output layer; `call` returns logits and the next states, shapes as `forward`'s."""

    def __init__(
        self,
        model: ModelConfig,
        vocab_size: int,
        weights: Mapping[str, np.ndarray],
        dtype: str = "float32",
        precision: str = "float32",
    ):
        super().__init__(dtype=dtype, name="charrnn")
        self.products = PRODUCTS[precision]
        self.model = model
        self.vocab_size = vocab_size
        self.parameters = {
            name: self.add_weight(shape=shape, initializer="zeros", name=name.replace("/", "_"))
            for name, shape in network.parameter_shapes(model, vocab_size).items()
        }
        self.built = True
        self.library = Library.of(model, vocab_size, self.variable_dtype)
        self.load(weights)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set every parameter."""
        for name, variable in self.parameters.items():
            variable.assign(weights[name])

    def read(self) -> dict[str, np.ndarray]:
        """Return a copy of every parameter."""
        return {name: np.array(ops.convert_to_numpy(variable)) for name, variable in self.parameters.items()}

    def values(self) -> dict[str, Any]:
        """Return the parameters as tensors of the backend."""
        return {name: ops.convert_to_tensor(variable) for name, variable in self.parameters.items()}

    def call(
        self,
        ids: Any,
        states: Any,
        dropout: Callable[[int, Any], Any] | None = None,
        reset: Any = None,
        gradient_wanted: bool = True,
        values: Mapping[str, Any] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Return logits and next states for the parameters' values, or for those that are given."""
        run = partial(scan, gradient_wanted=gradient_wanted, products=self.products)
        values = self.values() if values is None else values
        xp = NetworkOps(self.products)
        # The scan alone knows of documents that begin inside a window.
        whole = partial(self.library.run, values) if self.library and reset is None else None
        return network.forward(xp, self.model, values, ids, states, run, dropout, reset, kernel=whole)


@keras.saving.register_keras_serializable(package="charrnn")
class RecurrentCell(keras.layers.Layer):
    """A charrnn cell for `keras.layers.RNN`: `RNN(RecurrentCell("lstm", 128))`.

    Input (batch, features), state a list of (batch, units), output (batch, units); behind the features stand the
    fields of the layer below that the cell takes as they are (`Cell.raw`), units wide each. Keras differentiates it
    step by step; charrnn itself trains with `charrnn.training.engine.scan`, which is faster.
    """

    def __init__(self, cell: str, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.cell_name = cell
        self.cell = CELLS[cell]
        self.units = units
        self.state_size = [units] * len(self.cell.state_fields)
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        cell, units = self.cell, self.units

        def vectors(of: Mapping[str, Vector]) -> dict[str, Any]:
            made = {
                name: self.add_weight(shape=(len(vector.starts) * units,), initializer="zeros", name=name)
                for name, vector in of.items()
            }
            for name, vector in of.items():
                made[name].assign(np.repeat(vector.starts, units))
            return made

        features = (input_shape[-1] or 0) - len(cell.raw) * units
        self.kernel = self.add_weight(shape=(features, cell.projected(units)), name="W") if cell.blocks else None
        self.matrices = {
            name: self.add_weight(
                shape=matrix.shape(units), initializer="identity" if cell.identity else "orthogonal", name=name
            )
            for name, matrix in cell.matrices.items()
        }
        self.vectors = vectors(cell.vectors)
        self.zx_vectors = vectors({**cell.zx_vectors, "b": Vector(cell.bias)}) if cell.blocks else {}

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        cell, zx = self.cell, inputs
        if self.kernel is not None:
            x, *raw = xp.split(inputs, [self.kernel.shape[0]], axis=-1) if cell.raw else [inputs]
            zx = cell.zx(xp, xp.matmul(x, ops.convert_to_tensor(self.kernel)), self.zx_vectors)
            zx = xp.concatenate([zx, *raw], axis=-1) if raw else zx
        matrices = cell.masked(xp, {name: ops.convert_to_tensor(matrix) for name, matrix in self.matrices.items()})
        new = cell.step(
            xp, zx, cell.state(*states), lambda vector, name: xp.matmul(vector, matrices[name]), self.vectors
        )
        return new.h, list(new)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        initial = self.cell.initial
        return [
            xp.full((batch_size, self.units), initial.get(name, 0.0), dtype=self.compute_dtype)
            for name in self.cell.state_fields
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cell": self.cell_name, "units": self.units}
