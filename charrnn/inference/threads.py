"""Many texts read side by side, their rows shared among the cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from charrnn.cores import usable_cores
from charrnn.inference.model import Model, Stream

# Fewer rows than so many are not worth a thread of their own.
ROWS = 16


class Shards:
    """`batch` texts, at least 2, that are read as a `Stream` reads them: each core steps some of them.

    Within a step NumPy has the arrays of one shard, small enough for a core's cache, and BLAS one thread for it: what
    is not a matrix product runs on all cores too. To be entered as a context.
    """

    def __init__(self, model: Model, batch: int):
        self.batch = batch
        self.count = max(1, min(usable_cores(), batch // ROWS))
        bounds = [batch * shard // self.count for shard in range(self.count + 1)]
        self.rows = [slice(low, high) for low, high in pairwise(bounds)]
        self.streams = [Stream(model, rows.stop - rows.start) for rows in self.rows]
        self.logits = np.zeros((batch, model.vocab.size), model.table.dtype)

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
        """Read a character of every text, as `Stream.go_on`; return the next's logits, valid until the next."""
        if self.count == 1:
            return self.streams[0].go_on(drawn)

        def go_on(stream: Stream, rows: slice) -> None:
            self.logits[rows] = stream.go_on(drawn[rows])

        self.each(go_on)
        return self.logits

    def each(self, work: Callable[[Stream, slice], None]) -> None:
        """Do some work for each shard, given its stream and its rows, each on its own core.

        What takes several steps is quicker so than step by step: no core waits for another between them.
        """
        if self.count == 1:
            work(self.streams[0], self.rows[0])
        else:
            list(self._pool.map(work, self.streams, self.rows))

    def copy(self, other: Stream, row: Any = ...) -> None:
        """Give a text, by default all, the state of a stream of one text."""
        for stream, own in zip(self.streams, self.rows, strict=True):
            if row is ...:
                stream.copy(other)
            elif own.start <= row < own.stop:
                stream.copy(other, row - own.start)
