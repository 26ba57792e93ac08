"""The bytes of a checkpoint: a safetensors file of named arrays and one JSON object, protected by two digests.

docs/checkpoints.md describes them. `checkpoint.py` knows what the object and the arrays mean.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from charrnn.errors import CharRNNError
from charrnn.runs import tensors
from charrnn.runs.tensors import BLANK, DTYPES, Kind, Place, as_bytes, blanked

FORMAT = 1
# The first part of a tensor's name; the weights, `model/...`, have a digest that every reader checks.
PARTS = ("model", "optimizer", "state")
WEIGHTS = "model/"
COPY_AGAIN = "Use another checkpoint of the run, or copy the file again."
CHECKPOINT = Kind("checkpoint", COPY_AGAIN, "Checkpoints are the .safetensors files in the folder of a run.")
damaged = CHECKPOINT.damaged

# "digests" is the first of the sorted keys, so both digests are at the same place in every file.
_START = rb'{"__metadata__":{"charrnn":"{\"digests\":{\"file_sha256\":\"'
_BETWEEN = rb"\",\"weights_sha256\":\""
_FILE_DIGITS = slice(8 + len(_START), 8 + len(_START) + 64)
_WEIGHTS_DIGITS = slice(_FILE_DIGITS.stop + len(_BETWEEN), _FILE_DIGITS.stop + len(_BETWEEN) + 64)

Arrays = dict[str, np.ndarray]


def pack(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytearray:
    """Return the bytes of a file; the same metadata and arrays give the same bytes.

    metadata: JSON, without NaN or infinity. arrays: by name, PART/…: integers and floats, not empty; weights float32.
    """
    digests = {"file_sha256": BLANK.decode(), "weights_sha256": BLANK.decode()}
    whole = {**metadata, "digests": digests, "format": FORMAT}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    data = bytearray(save(plain, metadata={"charrnn": text}))
    end = 8 + int.from_bytes(data[:8], "little")
    if end > 8 + tensors.MAX_HEADER:
        raise CharRNNError(f"The checkpoint's header would have {end:,} bytes; the limit is {tensors.MAX_HEADER:,}.")
    _check_start(data)
    data[_FILE_DIGITS] = hashlib.sha256(data).hexdigest().encode()
    data[_WEIGHTS_DIGITS] = _weights_digest(data[:end], plain)
    return data


@contextmanager
def opened(path: Path) -> Iterator["Container"]:
    """Open a file for reading; every error about it, here or in the block, is a CharRNNError that names the file."""
    kind = CHECKPOINT._replace(instead="Name a run, its folder or a .safetensors file.")
    with kind.opened(path) as file:
        yield Container(file)


class Container:
    """An open file whose header was read but not yet verified; `metadata` is its JSON object."""

    def __init__(self, file: FileIO):
        self._file = file
        self._head, self._data_bytes = CHECKPOINT.read_head(file)
        self._entries = CHECKPOINT.json(self._head[8:])
        outer = self._entries.pop("__metadata__", None)
        if not isinstance(outer, dict) or not isinstance(outer.get("charrnn"), str):
            raise CharRNNError(
                "is a safetensors file, but not a charrnn checkpoint.",
                "Name a file that charrnn train wrote. (A probe is used by charrnn label.)",
            )
        self.metadata = CHECKPOINT.json(outer["charrnn"])
        number = self.metadata.get("format")
        if type(number) is not int or number < 1:
            raise damaged("it does not name its format.")
        if number > FORMAT:
            raise CharRNNError(f"has format {number}; this charrnn reads format {FORMAT}.", "Upgrade charrnn.")
        _check_start(self._head)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the header and the weights, which `arrays` checks."""
        return self._head[_WEIGHTS_DIGITS].decode("ascii", "replace")

    def places(self) -> dict[str, Place]:
        """Return the places of all tensors, in the order of the file; CharRNNError if they do not fit its length."""
        for name in self._entries:
            if name.partition("/")[0] not in PARTS:
                raise damaged(f"tensor {name!r:.80} does not belong to a checkpoint.")
        places = CHECKPOINT.layout(self._entries, self._data_bytes)
        for name, place in places.items():
            if name.startswith(WEIGHTS) and place.dtype != np.float32:
                raise CHECKPOINT.misfit(name)
        return places

    def arrays(self, whole: bool) -> Arrays:
        """Return the weights or, if `whole`, all arrays, new and writeable, after a check of their digest."""
        arrays: Arrays = {}
        digest = hashlib.sha256(blanked(self._head, _FILE_DIGITS, _WEIGHTS_DIGITS))
        for name, place in self.places().items():
            if whole or name.startswith(WEIGHTS):
                # NumPy allocates it, instead of a slice of a buffer: so it is aligned, and large ones use huge pages.
                array = np.empty(place.shape, place.dtype)
                self._file.seek(len(self._head) + place.begin)
                CHECKPOINT.fill(self._file, as_bytes(array))
                if whole:
                    digest.update(as_bytes(array))
                arrays[name] = array
        if _weights_digest(self._head, arrays) != self._head[_WEIGHTS_DIGITS]:
            raise damaged("its header or weights do not match their SHA-256.")
        if whole and digest.hexdigest().encode() != self._head[_FILE_DIGITS]:
            raise damaged("its training state does not match the SHA-256 of the file.")
        return arrays


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as files have it, little-endian and in C order; ValueError for a type that they cannot hold."""
    array = np.asarray(array)
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if plain.dtype not in map(np.dtype, DTYPES.values()) or not plain.size:
        raise ValueError(f"{name} is {array.dtype} {array.shape}; a checkpoint has integers and floats, not empty")
    if name.startswith(WEIGHTS) and plain.dtype != np.float32:
        raise ValueError(f"{name} is {array.dtype}; a checkpoint's weights are float32")
    return plain


def _check_start(head: bytearray) -> None:
    if not head.startswith(_START, 8) or not head.startswith(_BETWEEN, _FILE_DIGITS.stop):
        raise damaged("its digests are not in their place.")


def _weights_digest(head: bytearray, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the 64 hex digits of the head (with its own digits as zeros) and the weights, in the order of names."""
    digest = hashlib.sha256(blanked(head, _WEIGHTS_DIGITS))
    for name in sorted(name for name in arrays if name.startswith(WEIGHTS)):
        digest.update(as_bytes(arrays[name]))
    return digest.hexdigest().encode()
