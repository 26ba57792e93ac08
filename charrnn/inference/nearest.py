"""The nearest of many vectors, which are kept on disk: exact search by the cosine of the angle between two vectors."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import numpy as np

from charrnn.inference.vectors import check_finite
from charrnn.text.cache import explained, spool

# Cosines are rounded to this part of 1: the vectors of equal texts differ by rounding if other texts are read beside
# them, and equal texts must be equally near.
STEP = 1e-5
# Two vectors are equal if they differ by less than this part of the mean vector.
EQUAL = 1e-5
# A direction in which the vectors hardly vary is not stretched beyond one with this part of the largest variance.
FLOOR = 1e-6
# About so many numbers are compared at once.
NUMBERS = 1 << 20


class Found(NamedTuple):
    """The nearest vectors of a collection, nearest first: their places, and their cosines as multiples of STEP."""

    places: np.ndarray
    steps: np.ndarray


class Nearest:
    """Finds those vectors of a collection that are nearest to others; first all of them are added.

    The mean of the collection is subtracted from all vectors. With `whiten`, they are then divided by the standard
    deviation of the collection along each of its principal axes. Large collections are on disk.
    """

    def __init__(self, width: int, whiten: bool = False):
        self.width, self.whiten, self.count = width, whiten, 0
        self._file = spool()
        self._sum = np.zeros(width)
        self._products = np.zeros((width, width) if whiten else (0, 0))

    def add(self, vectors: np.ndarray) -> None:
        """Add vectors, float32 (vectors, width), after the others."""
        self._sum += vectors.sum(axis=0, dtype=np.float64)
        if self.whiten:
            wide = vectors.astype(np.float64)
            self._products += wide.T @ wide
        self.count += len(vectors)
        with explained():
            self._file.write(np.ascontiguousarray(vectors, np.float32).tobytes())

    def search(self, vectors: np.ndarray, top: int) -> list[Found]:
        """Return for each vector the `top` nearest ones of the collection; of equally near ones, the first."""
        nothing = np.zeros(0, np.int64)
        found = [Found(nothing, nothing)] * len(vectors)
        if not self.count:
            return found
        check_finite(self._sum)
        units = self._units(vectors)
        # What a vector must exceed to be found.
        least = np.full(len(units), np.iinfo(np.int64).min)
        for first, block in self._blocks(max(1, NUMBERS // max(self.width, len(units)))):
            steps = np.rint((units @ self._units(block).T).clip(-1, 1) / STEP).astype(np.int64)
            for query in np.flatnonzero((steps > least[:, None]).any(axis=1)).tolist():
                new = np.flatnonzero(steps[query] > least[query])
                places = np.concatenate([found[query].places, first + new])
                of_places = np.concatenate([found[query].steps, steps[query, new]])
                order = np.argsort(-of_places, kind="stable")[:top]
                found[query] = Found(places[order], of_places[order])
                if len(order) == top:
                    least[query] = found[query].steps[-1]
        return found

    def close(self) -> None:
        """Remove the vectors from the disk."""
        # What a full disk did not take is not needed any more.
        with suppress(OSError):
            self._file.close()

    def _blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the vectors of the collection in blocks, each with the place of its first one."""
        with explained():
            self._file.seek(0)
            for first in range(0, self.count, rows):
                data = self._file.read(rows * self.width * 4)
                yield first, np.frombuffer(data, np.float32).reshape(-1, self.width)

    @cached_property
    def _mean(self) -> np.ndarray:
        return self._sum / self.count

    @cached_property
    def _whitening(self) -> np.ndarray:
        """Return the matrix that whitens centred vectors, (width, width)."""
        variances, axes = np.linalg.eigh(self._products / self.count - np.outer(self._mean, self._mean))
        largest = max(variances[-1], np.finfo(np.float32).tiny)
        matrix: np.ndarray = axes / np.sqrt(np.maximum(variances, FLOOR * largest))
        return matrix

    def _units(self, vectors: np.ndarray) -> np.ndarray:
        """Return centred (and whitened) vectors with length 1, or 0 for vectors that equal the mean."""
        centred = vectors - self._mean
        has_direction = np.linalg.norm(centred, axis=1) > EQUAL * np.linalg.norm(self._mean)
        if self.whiten:
            centred = centred @ self._whitening
        lengths = np.linalg.norm(centred, axis=1)
        units: np.ndarray = np.where(has_direction, 1 / np.where(has_direction, lengths, 1), 0)[:, None] * centred
        return units.astype(np.float32)
