"""A text as codes: every character numbered in the order in which the characters first appear.

A vocabulary is known only when the whole text has been read. Codes can be written at once; a small table turns them
into the ids of any vocabulary when they are used.
"""

from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from charrnn.errors import NoText
from charrnn.text.cache import IN_MEMORY

_POINTS = 0x110000
_COPIED = 1 << 22


class CodeWriter:
    """Takes a text piece by piece; keeps its codes in memory up to IN_MEMORY bytes, then in the file of `spill`.

    Codes are of the smallest unsigned type; codes of 8 bits that become too small are widened in place.
    """

    def __init__(self, spill: Callable[[], BinaryIO]):
        self.symbols = ""
        self.length = 0
        self.file: BinaryIO | None = None
        self._spill = spill
        self._pieces: list[np.ndarray] = []
        self._counts = np.zeros(0, np.int64)
        self._set_type(np.dtype(np.uint8))

    @property
    def counts(self) -> np.ndarray:
        """Return how often each symbol occurs."""
        return self._counts[: len(self.symbols)]

    def add(self, text: str, where: str) -> None:
        """Append a piece of text; a lone surrogate in it is a CharRNNError that names `where`."""
        if not text:
            return
        try:
            points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        except UnicodeEncodeError as error:
            raise NoText(
                f"{where} has the lone surrogate U+{ord(text[error.start]):04X}, which is not a character.",
                "Remove it from the text.",
                {"errors": "Or replace such bytes: `errors='replace'`."},
            ) from None
        codes = self._table.take(points, mode="clip")
        if codes.max() == self._new:
            self._number(points[codes == self._new])
            codes = self._table.take(points, mode="clip")
        counted = np.bincount(codes)
        if len(counted) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(len(counted), np.int64)])
        self._counts[: len(counted)] += counted
        self._pieces.append(codes)
        self.length += len(codes)
        if self.file is not None or self.length * self.dtype.itemsize > IN_MEMORY:
            self._write()

    def array(self) -> np.ndarray:
        """Return all codes, (characters,), of a text that was not spilled to a file."""
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, self.dtype)

    def _number(self, points: np.ndarray) -> None:
        """Give numbers to code points that have none, in their order."""
        _, first = np.unique(points, return_index=True)
        fresh = points[np.sort(first)]
        needed = np.min_scalar_type(len(self.symbols) + len(fresh))
        if needed.itemsize > self.dtype.itemsize:
            self._widen(needed)
        self._table[fresh] = np.arange(len(self.symbols), len(self.symbols) + len(fresh))
        self.symbols += fresh.tobytes().decode("utf-32-le")

    def _set_type(self, dtype: np.dtype) -> None:
        # The highest number of a type means "none yet".
        self.dtype, self._new = dtype, np.iinfo(dtype).max
        self._table = np.full(_POINTS, self._new, dtype)
        known = np.frombuffer(self.symbols.encode("utf-32-le"), "<u4")
        self._table[known] = np.arange(len(known))

    def _widen(self, dtype: np.dtype) -> None:
        """Make what was written so far wider, from its end so that nothing is overwritten before it was read."""
        narrow = self.dtype
        self._pieces = [piece.astype(dtype) for piece in self._pieces]
        self._set_type(dtype)
        if self.file is None:
            return
        end = self.file.tell() // narrow.itemsize
        for high in range(end, 0, -_COPIED):
            low = max(0, high - _COPIED)
            self.file.seek(low * narrow.itemsize)
            wide = np.frombuffer(self.file.read((high - low) * narrow.itemsize), narrow).astype(dtype)
            self.file.seek(low * dtype.itemsize)
            self.file.write(wide.data)
        self.file.seek(end * dtype.itemsize)

    def _write(self) -> None:
        if self.file is None:
            self.file = self._spill()
        for piece in self._pieces:
            self.file.write(piece.data)
        self._pieces.clear()
