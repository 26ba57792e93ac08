"""Whole layers computed by cuDNN's LSTM and GRU, which Keras's layers call on a GPU."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from charrnn.config import ModelConfig
from charrnn.training.backends import engine


class Library:
    """The layers of a model as Keras layers; each replaces the scan and the product with W."""

    def __init__(self, model: ModelConfig, vocab_size: int):
        kind = {"lstm": keras.layers.LSTM, "gru-reset-after": keras.layers.GRU}[model.cell]
        self.model, self.rows = model, vocab_size + 1
        self.layers = []
        width = model.embedding or self.rows
        for _ in range(model.layers):
            # Its own weights are never used: each call gets the weights of the step.
            layer = kind(model.units, return_sequences=True, return_state=True, dtype="float32")
            layer.build((None, None, width))
            self.layers.append(layer)
            width = model.units

    @classmethod
    def of(cls, model: ModelConfig, vocab_size: int, dtype: str) -> "Library | None":
        """Return the Keras layers of a model if a GPU computes them faster than the scan, else None."""
        known = model.cell in engine.backend.cudnn_cells and model.stack in ("plain", "residual")
        # cuDNN computes a product where the scan looks up a row: with many rows that costs more than it gains.
        narrow = model.embedding is not None or vocab_size < engine.ONE_HOT_ROWS
        return cls(model, vocab_size) if known and narrow and dtype == "float32" and engine.on_gpu() else None

    def run(self, weights: Mapping[str, Any], layer: int, x: Any, state: Any) -> tuple[Any, Any]:
        """Return h of a layer, (time, batch, units), and its last state; x: its input, for the lowest layer the ids."""
        whole = self.layers[layer]
        if layer == 0:
            embedding = weights.get("embedding")
            x = ops.one_hot(x, self.rows, dtype="float32") if embedding is None else engine.look_up(embedding, x)
        w, u, b = (weights[f"layer{layer}/{name}"] for name in "WUb")
        if self.model.cell == "gru-reset-after":
            # Keras has a second bias for the product U h, with all three blocks.
            b = ops.stack([b, ops.pad(weights[f"layer{layer}/c"], [(2 * self.model.units, 0)])])
        seeds = [variable.value for variable in whole.non_trainable_variables]
        x = ops.transpose(x, (1, 0, 2))
        (h, *last), _ = whole.stateless_call([w, u, b], seeds, x, initial_state=list(state))
        return ops.transpose(h, (1, 0, 2)), type(state)(*last)
