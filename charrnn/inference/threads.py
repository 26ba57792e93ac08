"""Many texts that are read in parallel, with their rows divided among the cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from charrnn.cores import usable_cores
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream

# With fewer rows than this, another thread is not worthwhile.
ROWS = 16


class Shards:
    """Reads `batch` texts as a `Stream` does, but each core steps some of the texts.

    So the operations between the matrix products use all cores too. The arrays of one shard are small enough for the
    cache of a core, and BLAS uses one thread per shard. Use it as a context manager.
    """

    def __init__(self, model: Model, batch: int):
        self.model, self.batch = model, batch
        self.count = max(1, min(usable_cores(), batch // ROWS))
        bounds = [batch * shard // self.count for shard in range(self.count + 1)]
        self.rows = [slice(low, high) for low, high in pairwise(bounds)]
        self.streams = [Stream(model, rows.stop - rows.start) for rows in self.rows]
        self.logits = np.zeros((batch, model.outputs), model.table.dtype)
        self._patience = model.compiled.patience(batch // self.count)

    def __enter__(self) -> "Shards":
        if self.count > 1:
            from threadpoolctl import threadpool_limits

            self._limit = threadpool_limits(1, user_api="blas")
            self._pool = ThreadPoolExecutor(self.count)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.count > 1:
            self._pool.shutdown()
            self._limit.restore_original_limits()

    def go_on(self, drawn: np.ndarray) -> np.ndarray:
        """Read one character of every text, as `Stream.go_on`; return the next logits, valid until the next call."""
        if self._patience is not None:
            self.expect(1)
            self._patience = None if self._patience is None else self._patience - 1
        if self.count == 1:
            return self.streams[0].go_on(drawn)

        def go_on(stream: Stream, rows: slice) -> None:
            self.logits[rows] = stream.go_on(drawn[rows])

        self.each(go_on)
        return self.logits

    def expect(self, steps: int) -> None:
        """Compile the steps that follow if there are enough of them, or if there were enough already."""
        if self._patience is not None and steps > self._patience:
            self.streams, self._patience = [self.model.compiled.faster(stream) for stream in self.streams], None

    def each(self, work: Callable[[Stream, slice], None]) -> None:
        """Call `work` for each shard, with its stream and its rows; each call runs on its own core.

        Work that takes several steps is faster in this way than with one call per step: no core waits for another one
        between the steps.
        """
        if self.count == 1:
            work(self.streams[0], self.rows[0])
        else:
            list(self._pool.map(work, self.streams, self.rows))

    def copy(self, other: Stream, row: Any = ...) -> None:
        """Copy the state of a stream of one text into a row, by default into all rows."""
        for stream, own in zip(self.streams, self.rows, strict=True):
            if row is ...:
                stream.copy(other)
            elif own.start <= row < own.stop:
                stream.copy(other, row - own.start)
