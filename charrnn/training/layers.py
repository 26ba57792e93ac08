"""The network as Keras sees it: its parameters as Keras variables, and each cell as an ordinary Keras cell."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from charrnn import network
from charrnn.cells import CELLS
from charrnn.config import ModelConfig
from charrnn.training.scan import scan

# Up to so many rows, the gradient of a look-up is quicker as a product with one-hot rows than as a sum by segments.
ONE_HOT_ROWS = 256


@tf.custom_gradient
def look_up(table: Any, ids: Any) -> Any:
    """Return the rows of table, (rows, width), at ids; the gradient is dense, as the optimizers need it."""

    def gradient(d: Any) -> Any:
        rows, width = table.shape
        flat, d = tf.reshape(ids, (-1,)), tf.reshape(d, (-1, width))
        if rows <= ONE_HOT_ROWS:
            return tf.matmul(tf.one_hot(flat, rows, dtype=d.dtype), d, transpose_a=True), None
        return tf.math.unsorted_segment_sum(d, flat, rows), None

    return tf.gather(table, ids), gradient


class NetworkOps:
    """The namespace `xp` of the network in training: keras.ops, but for the look-up."""

    @staticmethod
    def take(x: Any, indices: Any, axis: int) -> Any:
        return look_up(tf.convert_to_tensor(x), indices)

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


class CharRNN(keras.layers.Layer):
    """Embedding, stacked cells and output layer; `call` returns logits and the next states, shapes as `forward`'s."""

    def __init__(self, model: ModelConfig, vocab_size: int, weights: Mapping[str, np.ndarray], dtype: str = "float32"):
        super().__init__(dtype=dtype, name="charrnn")
        self.model = model
        self.vocab_size = vocab_size
        self.parameters = {
            name: self.add_weight(shape=shape, initializer="zeros", name=name.replace("/", "_"))
            for name, shape in network.parameter_shapes(model, vocab_size).items()
        }
        self.built = True
        self.load(weights)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set every parameter."""
        for name, variable in self.parameters.items():
            variable.assign(weights[name])

    def read(self) -> dict[str, np.ndarray]:
        """Return a copy of every parameter."""
        return {name: np.array(ops.convert_to_numpy(variable)) for name, variable in self.parameters.items()}

    def call(
        self,
        ids: Any,
        states: Any,
        dropout: Callable[[int, Any], Any] = lambda layer, x: x,
        reset: Any = None,
        gradient_wanted: bool = True,
    ) -> tuple[Any, list[Any]]:
        run = partial(scan, gradient_wanted=gradient_wanted)
        values = {name: ops.convert_to_tensor(variable) for name, variable in self.parameters.items()}
        return network.forward(NetworkOps(), self.model, values, ids, states, run, dropout, reset)


@keras.saving.register_keras_serializable(package="charrnn")
class RecurrentCell(keras.layers.Layer):
    """A charrnn cell for `keras.layers.RNN`: `RNN(RecurrentCell("lstm", 128))`.

    Input (batch, features), state a list of (batch, units), output (batch, units). Keras differentiates it step by
    step; charrnn itself trains with `charrnn.training.scan`, which is faster.
    """

    def __init__(self, cell: str, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.cell_name = cell
        self.cell = CELLS[cell]
        self.units = units
        self.state_size = [units] * len(self.cell.state_fields)
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        gates, units = self.cell.gates, self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates * units), name="W")
        self.matrices = {
            name: self.add_weight(shape=(units, blocks * units), initializer="orthogonal", name=name)
            for name, blocks in self.cell.matrices.items()
        }
        self.vectors = {
            name: self.add_weight(
                shape=(vector.blocks * units,), initializer=keras.initializers.Constant(vector.start), name=name
            )
            for name, vector in self.cell.vectors.items()
        }
        self.bias = self.add_weight(shape=(gates * units,), initializer="zeros", name="b")
        self.bias.assign(np.repeat(self.cell.bias, units))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        zx, vectors = ops.matmul(inputs, self.kernel), self.vectors
        if self.cell.own_bias:
            vectors = {**vectors, "b": self.bias}
        else:
            zx = zx + self.bias
        state = self.cell.state(*states)
        new = self.cell.step(ops, zx, state, lambda vector, name: ops.matmul(vector, self.matrices[name]), vectors)
        return new.h, list(new)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cell": self.cell_name, "units": self.units}
