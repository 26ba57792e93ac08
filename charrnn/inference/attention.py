"""Attention of texts that are read step by step, with NumPy (`charrnn.network.attention` has the equations)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference import ops
from charrnn.inference.plan import product
from charrnn.network.attention import NEVER, Memory, key_width

# The memories of all texts that are read in parallel are at most this large.
MOST_BYTES = 256 << 20


def texts_at_once(model: ModelConfig, most: int) -> int:
    """Return how many texts can be read in parallel, at most `most`: attention needs memory for each."""
    if model.attention is None:
        return most
    bytes_per_text = 2 * (model.attention + 1) * (key_width(model.units) + model.units) * 4
    return max(1, min(most, MOST_BYTES // bytes_per_text))


class Attention:
    """The attention of a stream: its step, and its memory.

    The memory is a ring of `size` places: the n characters before and the present one. Each key and value is stored
    twice, `size` places apart, so that all of them are always a slice in the order of time. `at` is the next place;
    `length` is how many of the last characters belong to the present document, and at most `size`.
    """

    def __init__(self, model: ModelConfig, weights: Mapping[str, np.ndarray], batch: int):
        assert model.attention is not None
        units, dtype = model.units, weights["attention/W"].dtype
        self.size, self.width = model.attention + 1, key_width(units)
        lead = (batch,) if batch > 1 else ()
        # The scale of the scores is part of the queries.
        scale = np.ones(2 * self.width + units, dtype)
        scale[: self.width] = self.width**-0.5
        self.w = weights["attention/W"] * scale
        # In the order of time, as the keys are: the greatest distance first.
        self.r = np.ascontiguousarray(weights["attention/R"][::-1].T)
        self.made = np.zeros((*lead, 2 * self.width + units), dtype)
        self.keys = np.zeros((*lead, 2 * self.size, self.width), dtype)
        self.values = np.zeros((*lead, 2 * self.size, units), dtype)
        self.length, self.at = np.zeros(lead, np.int64), 0
        self.distances = np.arange(self.size)[::-1]

    def step(self, h: np.ndarray, out: np.ndarray) -> None:
        """Add to h, (batch, units) or (units,), what it looks back at, and remember it."""
        at, size, width, made = self.at, self.size, self.width, self.made
        product(h)(h, self.w, made)
        for place in (at, at + size):
            self.keys[..., place, :] = made[..., width : 2 * width]
            self.values[..., place, :] = made[..., 2 * width :]
        np.minimum(self.length + 1, size, out=self.length)
        # Rows look back equally far in one product; the characters that only some of them see have weight 0 in others.
        furthest = int(self.length.max())
        seen = slice(at + size + 1 - furthest, at + size + 1)
        query, r = made[..., :width], self.r[:, size - furthest :]
        if h.ndim == 1:
            weights = ops.softmax(self.keys[seen] @ query + query @ r, -1)
            np.dot(weights, self.values[seen], out)
        else:
            scores = np.matmul(self.keys[:, seen], query[..., None])[..., 0] + query @ r
            scores[self.distances[size - furthest :] >= self.length[:, None]] = NEVER
            np.matmul(ops.softmax(scores, -1)[:, None], self.values[:, seen], out[:, None])
        np.add(out, h, out)
        self.at = (at + 1) % size

    def forget(self, rows: Any = ...) -> None:
        """Forget the characters before, in all texts or in some rows."""
        self.length[rows] = 0

    def copy(self, other: "Attention", rows: Any, of: Any) -> None:
        """Copy into some rows the memory of rows `of` another stream of the same model, or of this stream."""
        turn = self.at - other.at
        for kept, new in ((self.keys, other.keys), (self.values, other.values)):
            # Both halves are equal, so that turning the whole turns each.
            kept[rows] = np.roll(new[of], turn, axis=-2) if turn else new[of]
        self.length[rows] = other.length[of]

    def memory(self) -> Memory:
        """Return the memory in the form that `network.attention.attend` reads."""
        low, high = self.at + 1, self.at + self.size
        keys, values = (self._texts(kept[..., low:high, :]) for kept in (self.keys, self.values))
        seen = self.distances[1:] < self._texts(self.length[..., None])
        return Memory(keys, values, seen.astype(keys.dtype))

    def remember(self, memory: Memory) -> None:
        """Replace the memory."""
        low, high = self.at + 1, self.at + self.size
        for kept, new in ((self.keys, memory.keys), (self.values, memory.values)):
            kept[..., low:high, :] = new.reshape(kept[..., low:high, :].shape)
            # The places that the slice has in one half only.
            kept[..., : self.at, :] = kept[..., self.size : high, :]
            kept[..., self.size + low :, :] = kept[..., low : self.size, :]
        self.length[...] = memory.seen.sum(-1).reshape(self.length.shape)

    def _texts(self, array: np.ndarray) -> np.ndarray:
        """Return an array with the axis of the texts, which is left out for a single one."""
        return array if self.length.ndim else array[None]
