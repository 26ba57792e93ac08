"""Where a model with attention looked while it predicted a text."""

from typing import Any

import numpy as np

from charrnn.cells import Array
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.attention import Memory, attend


def alignments(model: Model, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return where the model looked to predict each of `ids`, which follow the ids `before`: float32, (ids, ids).

    Row t has the weights of the step that predicts character t. They add up to 1, except for what is not in `ids`: the
    ids `before`.
    """
    n, stream = model.config.attention or 0, Stream(model)
    found: list[np.ndarray] = []

    def look(xp: Any, weights: Any, h: Array, memory: Memory, reset: Array | None) -> tuple[Array, Memory, Array]:
        output, memory, weights = attend(xp, weights, h, memory, reset)
        found.append(weights[0])
        return output, memory, weights

    inputs = np.concatenate([before, ids[:-1]])
    stream.look(inputs[:, None], look)
    looked = np.zeros((len(inputs), n + len(inputs)), np.float32)
    low = 0
    for weights in found:
        # A column for each of the n characters before the block, and for those of the block.
        looked[low : low + len(weights), low : low + weights.shape[1]] = weights
        low += len(weights)
    result = np.zeros((len(ids), len(ids)), np.float32)
    result[:, :-1] = looked[len(before) - 1 :, n + len(before) :]
    return result
