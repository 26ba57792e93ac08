"""Every cell as an ordinary Keras cell, for `keras.layers.RNN`."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from charrnn.cells import CELLS, Vector
from charrnn.training.backends.engine import xp


@keras.saving.register_keras_serializable(package="charrnn")
class RecurrentCell(keras.layers.Layer):
    """A charrnn cell for `keras.layers.RNN`: `RNN(RecurrentCell("lstm", 128))`.

    Input (batch, features), state a list of (batch, units), output (batch, units). After the features come the fields
    of the layer below that the cell reads without a projection (`Cell.raw`), each `units` wide. Keras differentiates it
    step by step; charrnn itself trains with `charrnn.training.backends.engine.scan`, which is faster.
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
