"""The parts of a safetensors file: its header, and the places of its tensors. Nothing that a file says is trusted."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn.errors import CharRNNError

MAX_HEADER = 100_000_000
# Nested arrays and objects; a record of the history, the deepest object in use, has a depth of three.
MAX_DEPTH = 20
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (8, 4, 2, 1)
}
BLANK = b"0" * 64


class Kind(NamedTuple):
    """A kind of file: its name, and what to do about a damaged one, and about a file that is none of this kind."""

    name: str
    mend: str
    instead: str

    def damaged(self, what: str) -> CharRNNError:
        """Return the error for a damaged file."""
        return CharRNNError(f"is damaged: {what}", self.mend)

    def cut_short(self, how: str = "") -> CharRNNError:
        """Return the error for a file whose end is missing."""
        return CharRNNError(f"is cut short{how}.", self.mend)

    @contextmanager
    def opened(self, path: Path) -> Iterator[FileIO]:
        """Open a file for reading; every error about it, here or in the block, is a CharRNNError that names it."""
        try:
            # Opening a FIFO would wait for a writer.
            if path.exists() and not path.is_file():
                raise CharRNNError("is not a file.", self.instead)
            with open(path, "rb", buffering=0) as file:
                yield file
        except CharRNNError as error:
            raise CharRNNError(f"{path} {error.message}", error.hint) from None
        except OSError as error:
            raise CharRNNError(f"{path} cannot be read: {error.strerror or error}.") from error

    def read_head(self, file: FileIO) -> tuple[bytearray, int]:
        """Return the 8 bytes of the header's length together with the header, and the number of bytes after them."""
        size = os.fstat(file.fileno()).st_size
        if size < 8:
            raise CharRNNError(f"is not a {self.name}: it has only {size} bytes.", self.mend)
        start = bytearray(8)
        self.fill(file, memoryview(start))
        length = int.from_bytes(start, "little")
        if length > min(MAX_HEADER, size - 8):
            raise CharRNNError(
                f"is not a {self.name}, or it is cut short: it has {size:,} bytes, but says that its header "
                f"has {length:,} bytes (at most {MAX_HEADER:,} are allowed).",
                # A file that names a larger header was never one of ours.
                self.mend if length <= MAX_HEADER else self.instead,
            )
        head = start + bytearray(length)
        self.fill(file, memoryview(head)[8:])
        return head, size - len(head)

    def fill(self, file: FileIO, view: memoryview) -> None:
        """Read exactly as many bytes as `view` has room for; a single read may return fewer."""
        while view:
            got = file.readinto(view)
            if not got:
                raise self.cut_short()
            view = view[got:]

    def json(self, text: bytearray | str) -> dict[str, Any]:
        """Return a JSON object; repeated keys, numbers that are not finite and deep nesting are refused."""
        try:
            text = text if isinstance(text, str) else text.decode()
            data = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError) as error:
            raise CharRNNError(
                f"is not a {self.name}, or it is damaged: its header is not JSON ({error}).", self.mend
            ) from None
        if not isinstance(data, dict):
            raise CharRNNError(f"is not a {self.name}, or it is damaged: its header is not a JSON object.", self.mend)
        self._check_depth(data, MAX_DEPTH)
        return data

    def _check_depth(self, value: Any, left: int) -> None:
        # Very deep nesting would overflow the stack of any code that walks through the object.
        if not left:
            raise self.damaged(f"its header is nested more than {MAX_DEPTH} deep.")
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                self._check_depth(inner, left - 1)

    def layout(self, entries: dict[str, Any], data_bytes: int) -> "dict[str, Place]":
        """Return the places of all tensors, in the order of the file: they fill it without gap or overlap."""
        places = sorted(
            ((self._place(name, entry), name) for name, entry in entries.items()), key=lambda pair: pair[0][:2]
        )
        end = 0
        for place, name in places:
            if place.begin != end:
                raise self.damaged(f"tensor {name!r:.80} does not begin where the previous one ends.")
            end = place.end
        if end > data_bytes:
            raise self.cut_short(f": its tensors need {end:,} bytes, and it has {data_bytes:,}")
        if end < data_bytes:
            raise self.damaged(f"{data_bytes - end:,} bytes follow its last tensor.")
        return {name: place for place, name in places}

    def _place(self, name: str, entry: Any) -> "Place":
        match entry:
            case {"dtype": str(code), "shape": [*shape], "data_offsets": [begin, end], **others} if not others:
                numbers = (*shape, begin, end)
                whole = all(type(number) is int and number >= 0 for number in numbers)
                # Empty tensors are refused: if one size is 0, the others could be arbitrarily large.
                if whole and code in DTYPES and len(shape) <= 8 and 0 not in shape:
                    dtype = np.dtype(DTYPES[code])
                    if end - begin == math.prod(shape) * dtype.itemsize:
                        return Place(begin, end, dtype, tuple(shape))
        raise self.misfit(name)

    def misfit(self, name: str) -> CharRNNError:
        """Return the error for a tensor that cannot be what its header says."""
        return self.damaged(f"type, shape and place of tensor {name!r:.80} do not fit together.")


class Place(NamedTuple):
    """The place of a tensor: bytes `begin` to `end`, counted from the end of the header."""

    begin: int
    end: int
    dtype: np.dtype
    shape: tuple[int, ...]


def blanked(head: bytearray, *digits: slice) -> bytearray:
    """Return the beginning of a file with zeros in place of digests, which cannot cover themselves."""
    changed = bytearray(head)
    for place in digits:
        changed[place] = BLANK
    return changed


def as_bytes(array: np.ndarray) -> memoryview:
    """Return the bytes of an array in C order, without copying them."""
    return array.reshape(-1).view(np.uint8).data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is not finite")
    return number
