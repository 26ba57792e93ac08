"""The bytes of a checkpoint: a safetensors file of named arrays and one JSON object, protected by two digests.

docs/checkpoints.md describes them. `checkpoint.py` knows what the object and the arrays mean.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

from charrnn.errors import CharRNNError

FORMAT = 1
MAX_HEADER = 100_000_000
# Nested arrays and objects; a record of the history, the deepest object in use, has a depth of three.
MAX_DEPTH = 20
# The first part of a tensor's name; the weights, `model/...`, have a digest that every reader checks.
PARTS = ("model", "optimizer", "state")
WEIGHTS = "model/"
COPY_AGAIN = "Use another checkpoint of the run, or copy the file again."
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (8, 4, 2, 1)
}

# "digests" is the first of the sorted keys, so both digests are at the same place in every file.
_BLANK = b"0" * 64
_START = rb'{"__metadata__":{"charrnn":"{\"digests\":{\"file_sha256\":\"'
_BETWEEN = rb"\",\"weights_sha256\":\""
_FILE_DIGITS = slice(8 + len(_START), 8 + len(_START) + 64)
_WEIGHTS_DIGITS = slice(_FILE_DIGITS.stop + len(_BETWEEN), _FILE_DIGITS.stop + len(_BETWEEN) + 64)

Arrays = dict[str, np.ndarray]


class _Place(NamedTuple):
    """The place of a tensor: bytes `begin` to `end`, counted from the end of the header."""

    begin: int
    end: int
    dtype: np.dtype
    shape: tuple[int, ...]


def pack(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytearray:
    """Return the bytes of a file; the same metadata and arrays give the same bytes.

    metadata: JSON, without NaN or infinity. arrays: by name, PART/…: integers and floats, not empty; weights float32.
    """
    digests = {"file_sha256": _BLANK.decode(), "weights_sha256": _BLANK.decode()}
    whole = {**metadata, "digests": digests, "format": FORMAT}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    tensors = {name: _plain(name, array) for name, array in arrays.items()}
    data = bytearray(save(tensors, metadata={"charrnn": text}))
    end = 8 + int.from_bytes(data[:8], "little")
    if end > 8 + MAX_HEADER:
        raise CharRNNError(f"The checkpoint's header would have {end:,} bytes; the limit is {MAX_HEADER:,}.")
    _check_start(data)
    data[_FILE_DIGITS] = hashlib.sha256(data).hexdigest().encode()
    data[_WEIGHTS_DIGITS] = _weights_digest(data[:end], tensors)
    return data


@contextmanager
def opened(path: Path) -> Iterator["Container"]:
    """Open a file for reading; every error about it, here or in the block, is a CharRNNError that names the file."""
    try:
        # Opening a FIFO would wait for a writer.
        if path.exists() and not path.is_file():
            raise CharRNNError("is not a file.", "Name a run, its folder or a .safetensors file.")
        with open(path, "rb", buffering=0) as file:
            yield Container(file)
    except CharRNNError as error:
        raise CharRNNError(f"{path} {error.message}", error.hint) from None
    except OSError as error:
        raise CharRNNError(f"{path} cannot be read: {error.strerror or error}.") from error


class Container:
    """An open file whose header was read but not yet verified; `metadata` is its JSON object."""

    def __init__(self, file: FileIO):
        self._file = file
        self._head, self._data_bytes = _read_head(file)
        self._entries = _json(self._head[8:])
        outer = self._entries.pop("__metadata__", None)
        if not isinstance(outer, dict) or not isinstance(outer.get("charrnn"), str):
            raise CharRNNError(
                "is a safetensors file, but not a charrnn checkpoint.", "Name a file that charrnn train wrote."
            )
        self.metadata = _json(outer["charrnn"])
        number = self.metadata.get("format")
        if type(number) is not int or number < 1:
            raise damaged("it does not name its format.")
        if number > FORMAT:
            raise CharRNNError(f"has format {number}; this charrnn reads format {FORMAT}.", "Upgrade charrnn.")
        _check_start(self._head)

    def places(self) -> dict[str, _Place]:
        """Return the places of all tensors, in the order of the file; CharRNNError if they do not fit its length."""
        return _layout(self._entries, self._data_bytes)

    def arrays(self, whole: bool) -> Arrays:
        """Return the weights or, if `whole`, all arrays, new and writeable, after a check of their digest."""
        arrays: Arrays = {}
        digest = hashlib.sha256(_blanked(self._head, _FILE_DIGITS, _WEIGHTS_DIGITS))
        for name, place in self.places().items():
            if whole or name.startswith(WEIGHTS):
                # NumPy allocates it, instead of a slice of a buffer: so it is aligned, and large ones use huge pages.
                array = np.empty(place.shape, place.dtype)
                self._file.seek(len(self._head) + place.begin)
                _fill(self._file, _bytes(array))
                if whole:
                    digest.update(_bytes(array))
                arrays[name] = array
        if _weights_digest(self._head, arrays) != self._head[_WEIGHTS_DIGITS]:
            raise damaged("its header or weights do not match their SHA-256.")
        if whole and digest.hexdigest().encode() != self._head[_FILE_DIGITS]:
            raise damaged("its training state does not match the SHA-256 of the file.")
        return arrays


def damaged(what: str) -> CharRNNError:
    return CharRNNError(f"is damaged: {what}", COPY_AGAIN)


def _fill(file: FileIO, view: memoryview) -> None:
    """Read exactly as many bytes as `view` has room for; a single read may return fewer."""
    while view:
        got = file.readinto(view)
        if not got:
            raise CharRNNError("is cut short.", COPY_AGAIN)
        view = view[got:]


def _read_head(file: FileIO) -> tuple[bytearray, int]:
    """Return the 8 bytes of the header's length together with the header, and the number of bytes after them."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise CharRNNError(f"is not a checkpoint: it has only {size} bytes.", COPY_AGAIN)
    start = bytearray(8)
    _fill(file, memoryview(start))
    length = int.from_bytes(start, "little")
    if length > min(MAX_HEADER, size - 8):
        raise CharRNNError(
            f"is not a checkpoint, or it is cut short: it has {size:,} bytes, but says that its header "
            f"has {length:,} bytes (at most {MAX_HEADER:,} are allowed).",
            # A file that names a larger header was never a checkpoint.
            COPY_AGAIN if length <= MAX_HEADER else "Checkpoints are the .safetensors files in the folder of a run.",
        )
    head = start + bytearray(length)
    _fill(file, memoryview(head)[8:])
    return head, size - len(head)


def _layout(entries: dict[str, Any], data_bytes: int) -> dict[str, _Place]:
    """Return the places of all tensors, in the order of the file: they fill it without gap or overlap."""
    places = sorted(((_place(name, entry), name) for name, entry in entries.items()), key=lambda pair: pair[0][:2])
    end = 0
    for place, name in places:
        if place.begin != end:
            raise damaged(f"tensor {name!r:.80} does not begin where the previous one ends.")
        end = place.end
    if end > data_bytes:
        raise CharRNNError(f"is cut short: its tensors need {end:,} bytes, and it has {data_bytes:,}.", COPY_AGAIN)
    if end < data_bytes:
        raise damaged(f"{data_bytes - end:,} bytes follow its last tensor.")
    return {name: place for place, name in places}


def _place(name: str, entry: Any) -> _Place:
    if name.partition("/")[0] not in PARTS:
        raise damaged(f"tensor {name!r:.80} does not belong to a checkpoint.")
    match entry:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [begin, end], **others} if not others:
            numbers = (*shape, begin, end)
            whole = all(type(number) is int and number >= 0 for number in numbers)
            # Empty tensors are refused: if one size is 0, the others could be arbitrarily large.
            if whole and code in _DTYPES and len(shape) <= 8 and 0 not in shape:
                dtype = np.dtype(_DTYPES[code])
                fits = end - begin == math.prod(shape) * dtype.itemsize
                if fits and (code == "F32" or not name.startswith(WEIGHTS)):
                    return _Place(begin, end, dtype, tuple(shape))
    raise damaged(f"type, shape and place of tensor {name!r:.80} do not fit together.")


def _json(text: bytearray | str) -> dict[str, Any]:
    """Return a JSON object; repeated keys, numbers that are not finite and deep nesting are refused."""
    try:
        text = text if isinstance(text, str) else text.decode()
        data = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise CharRNNError(
            f"is not a checkpoint, or it is damaged: its header is not JSON ({error}).", COPY_AGAIN
        ) from None
    if not isinstance(data, dict):
        raise CharRNNError("is not a checkpoint, or it is damaged: its header is not a JSON object.", COPY_AGAIN)
    _check_depth(data, MAX_DEPTH)
    return data


def _check_depth(value: Any, left: int) -> None:
    # Very deep nesting would overflow the stack of any code that walks through the object.
    if not left:
        raise damaged(f"its header is nested more than {MAX_DEPTH} deep.")
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            _check_depth(inner, left - 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is not finite")
    return number


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as files have it, little-endian and in C order; ValueError for a type that they cannot hold."""
    array = np.asarray(array)
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if plain.dtype not in map(np.dtype, _DTYPES.values()) or not plain.size:
        raise ValueError(f"{name} is {array.dtype} {array.shape}; a checkpoint has integers and floats, not empty")
    if name.startswith(WEIGHTS) and plain.dtype != np.float32:
        raise ValueError(f"{name} is {array.dtype}; a checkpoint's weights are float32")
    return plain


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _check_start(head: bytearray) -> None:
    if not head.startswith(_START, 8) or not head.startswith(_BETWEEN, _FILE_DIGITS.stop):
        raise damaged("its digests are not in their place.")


def _blanked(head: bytearray, *digits: slice) -> bytearray:
    blanked = bytearray(head)
    for place in digits:
        blanked[place] = _BLANK
    return blanked


def _weights_digest(head: bytearray, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the 64 hex digits of the head (with its own digits as zeros) and the weights, in the order of names."""
    digest = hashlib.sha256(_blanked(head, _WEIGHTS_DIGITS))
    for name in sorted(name for name in arrays if name.startswith(WEIGHTS)):
        digest.update(_bytes(arrays[name]))
    return digest.hexdigest().encode()
