"""A batch cut into shards for TensorFlow: parts of one graph, which its threads run in parallel."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn.data.batches import Window


class Shards:
    """How a batch is cut: contiguous rows; the sizes differ by at most one.

    The state of a batch is a list of the shards' states.
    """

    def __init__(self, batch: int, count: int):
        self.batch, self.count = batch, count
        bounds = [batch * shard // count for shard in range(count + 1)]
        self.rows = [slice(low, high) for low, high in itertools.pairwise(bounds)]
        # The rows that this process reads: all of them.
        self.own = slice(0, batch)

    def place(self, window: Window) -> Window:
        """Return a window of this process's rows in the form that a step reads."""
        return window

    def whole(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values that all shards share in the form that a step reads."""
        return values

    def state(self, whole: Any) -> Any:
        """Return the state of a batch from arrays (batch, units) in any structure."""
        return [tf.nest.map_structure(itemgetter(rows), whole) for rows in self.rows]

    def gathered(self, state: Any) -> Any:
        """Return the arrays (batch, units) from which `state` was made, as NumPy arrays."""
        return tf.nest.map_structure(_joined, *state)

    def each(
        self, function: Callable[..., tuple[Any, Any]], shared: Sequence[Any], window: Window, state: Any
    ) -> tuple[Any, Any]:
        """Return the sum of the first results of `function` over the shards, and the next state.

        It is called with `shared`, the shard's part of the window and of the state, and the number of its first row.
        """
        results = [
            function(*shared, window.each(itemgetter((slice(None), rows))), part, rows.start)
            for rows, part in zip(self.rows, state, strict=True)
        ]
        # Summed in the order of the shards, so that a step is the same whichever finishes first.
        firsts, after = zip(*results, strict=True)
        return tf.nest.map_structure(_summed, *firsts), list(after)


def _joined(*parts: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])


def _summed(first: Any, *others: Any) -> Any:
    return sum(others, first)
