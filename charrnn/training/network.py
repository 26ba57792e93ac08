"""The network as a Keras layer, with its parameters as Keras variables."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from charrnn.config import ModelConfig
from charrnn.engines import COMPILED, FRAMEWORK
from charrnn.network.forward import forward
from charrnn.network.parameters import parameter_shapes
from charrnn.network.pooling import running_mean
from charrnn.training.backends import compiled
from charrnn.training.backends.engine import calls, gpu_calls, look_up, matmul, on_gpu, scan, xp

# The types of matrix products by the names in the settings; None is the type of the operands.
PRODUCTS = {"float32": None, "bf16": "bfloat16"}


class NetworkOps:
    """The namespace `xp` of the network in training: the backend's, with other look-ups and products."""

    def __init__(self, products: str | None, native: bool):
        self.products, self.native = products, native

    def take(self, x: Any, indices: Any, axis: int) -> Any:
        return compiled.look_up(calls, x, indices) if self.native else look_up(x, indices)

    def matmul(self, x: Any, w: Any) -> Any:
        # Attention also has products for each text, which are many small ones.
        of_matrices = self.native and len(x.shape) == len(w.shape) == 2
        return compiled.matmul(calls, x, w) if of_matrices else matmul(x, w, self.products)

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
        engine: str = FRAMEWORK,
    ):
        super().__init__(dtype=dtype, name="charrnn")
        self.products = PRODUCTS[precision]
        self.engine = engine
        # Compiled code of the processor does look-ups and dropout too.
        self.native = engine == COMPILED and not on_gpu()
        self.model = model
        self.vocab_size = vocab_size
        self.parameters = {
            name: self.add_weight(shape=shape, initializer="zeros", name=name.replace("/", "_"))
            for name, shape in parameter_shapes(model, vocab_size).items()
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
        """Return logits and next states for the parameters' values, or for `values` if given.

        With classes, the logits are the means since the beginning of each document.
        """
        run = (
            partial(compiled.scan, calls if self.native else gpu_calls(self.products))
            if self.engine == COMPILED
            else partial(scan, products=self.products)
        )
        run = partial(run, gradient_wanted=gradient_wanted)
        values = self.values() if values is None else values
        xp = NetworkOps(self.products, self.native)
        if self.model.classes is None:
            return forward(xp, self.model, values, ids, states, run, dropout, reset)
        *own, pool = states
        logits, after = forward(xp, self.model, values, ids, own, run, dropout, reset)
        # Sums of many logits are exact enough only in the parameters' own type.
        means, pool = running_mean(NetworkOps(None, self.native), logits, pool, reset)
        return means, [*after, pool]
