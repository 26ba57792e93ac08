"""The checkpoint: one safetensors file that holds a model and all that its training needs to go on.

docs/checkpoints.md describes the bytes.
"""

import hashlib
import json
import math
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from safetensors.numpy import save

from charrnn import __version__
from charrnn.atomic import write_durably
from charrnn.cells import CELLS
from charrnn.config import DEFAULT_TEXT, STACKS, Config, ModelConfig, TextConfig, TrainConfig, from_json, to_json
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary

FORMAT = 1
MAX_HEADER = 100_000_000
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (8, 4, 2, 1)
}
_PARTS = ("model", "optimizer", "state")
_COPY_AGAIN = "Use another checkpoint of the run, or copy the file again."

# In sorted keys "digests" comes before all others, so both digests stand at the same place in every file.
_BLANK = b"0" * 64
_START = rb'{"__metadata__":{"charrnn":"{\"digests\":{\"file_sha256\":\"'
_BETWEEN = rb"\",\"weights_sha256\":\""
_FILE_DIGITS = slice(8 + len(_START), 8 + len(_START) + 64)
_WEIGHTS_DIGITS = slice(_FILE_DIGITS.stop + len(_BETWEEN), _FILE_DIGITS.stop + len(_BETWEEN) + 64)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and, unless it was read for use alone, the state of its training.

    `weights` are float32, named as in `network`; `slots` are the optimizer's, `state` is the hidden state (both of any
    real dtype). `progress` and `history` are JSON: no NaN, no infinity. `version` is the charrnn that wrote the file.
    """

    model: ModelConfig
    vocab: Vocabulary
    weights: dict[str, np.ndarray]
    training: TrainConfig | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    text: TextConfig = DEFAULT_TEXT
    version: str = __version__


class _Place(NamedTuple):
    """Where a tensor lies: bytes `begin` to `end`, counted from the end of the header."""

    begin: int
    end: int
    dtype: np.dtype
    shape: tuple[int, ...]


def serialise(checkpoint: Checkpoint) -> bytearray:
    """Return the bytes of the file; the same checkpoint gives the same bytes."""
    metadata = {
        "digests": {"file_sha256": _BLANK.decode(), "weights_sha256": _BLANK.decode()},
        "format": FORMAT,
        "history": checkpoint.history,
        "model": to_json(checkpoint.model),
        "progress": checkpoint.progress,
        "text": to_json(checkpoint.text),
        "training": checkpoint.training and to_json(checkpoint.training),
        "version": checkpoint.version,
        "vocab": checkpoint.vocab.to_json(),
    }
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    tensors = {
        f"{part}/{name}": _plain(f"{part}/{name}", array)
        for part, arrays in zip(_PARTS, (checkpoint.weights, checkpoint.slots, checkpoint.state), strict=True)
        for name, array in arrays.items()
    }
    data = bytearray(save(tensors, metadata={"charrnn": text}))
    end = 8 + int.from_bytes(data[:8], "little")
    if end > 8 + MAX_HEADER:
        raise CharRNNError(f"The checkpoint's header would take {end:,} bytes; {MAX_HEADER:,} is the limit.")
    _check_start(data)
    data[_FILE_DIGITS] = hashlib.sha256(data).hexdigest().encode()
    weights = {name: tensors[f"model/{name}"] for name in checkpoint.weights}
    data[_WEIGHTS_DIGITS] = _weights_digest(data[:end], weights)
    return data


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that at every instant either the old file or the new one is there, whole."""
    write_durably(path, serialise(checkpoint))


def read_checkpoint(path: Path, *, training: bool = False) -> Checkpoint:
    """Read a checkpoint, verified: header and weights, or with `training` the whole file.

    Without `training` the optimizer's slots and the hidden state are not read, and come back empty. The arrays are
    fresh and writeable. Whatever is wrong with the file is a `CharRNNError` that names it.
    """
    with _naming(path), open(path, "rb", buffering=0) as file:
        head, data_bytes = _read_head(file)
        checkpoint, places = _parse(head, data_bytes)
        whole = hashlib.sha256(_blanked(head, _FILE_DIGITS, _WEIGHTS_DIGITS))
        arrays: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        for name, place in places.items():
            part, _, rest = name.partition("/")
            if part == "model" or training:
                # An array of NumPy's own, not a slice of a buffer: aligned, and large ones lie in huge pages.
                array = np.empty(place.shape, place.dtype)
                file.seek(len(head) + place.begin)
                _fill(file, _bytes(array))
                if training:
                    whole.update(_bytes(array))
                arrays[part][rest] = array
        if _weights_digest(head, arrays["model"]) != head[_WEIGHTS_DIGITS]:
            raise _damaged("its header or weights do not match their SHA-256.")
        if training and whole.hexdigest().encode() != head[_FILE_DIGITS]:
            raise _damaged("its training state does not match the SHA-256 of the file.")
    return replace(checkpoint, weights=arrays["model"], slots=arrays["optimizer"], state=arrays["state"])


def read_header(path: Path) -> Checkpoint:
    """Read what a checkpoint says of itself, without its arrays: the file's length is checked, its digests are not."""
    with _naming(path), open(path, "rb", buffering=0) as file:
        return _parse(*_read_head(file))[0]


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        # Opening a FIFO would wait for a writer.
        if path.exists() and not path.is_file():
            raise CharRNNError("is not a file.", "Name a run, its folder or a .safetensors file.")
        yield
    except CharRNNError as error:
        raise CharRNNError(f"{path} {error.message}", error.hint) from None
    except OSError as error:
        raise CharRNNError(f"{path} cannot be read: {error.strerror or error}.") from error


def _damaged(what: str) -> CharRNNError:
    return CharRNNError(f"is damaged: {what}", _COPY_AGAIN)


def _fill(file: FileIO, view: memoryview) -> None:
    """Read exactly as many bytes as `view` holds; one read may give less than was asked for."""
    while view:
        got = file.readinto(view)
        if not got:
            raise CharRNNError("is cut short.", _COPY_AGAIN)
        view = view[got:]


def _read_head(file: FileIO) -> tuple[bytearray, int]:
    """Return the 8 bytes of the header's length with the header, and the number of bytes that follow."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise CharRNNError(f"is no checkpoint: it is {size} bytes long.", _COPY_AGAIN)
    start = bytearray(8)
    _fill(file, memoryview(start))
    length = int.from_bytes(start, "little")
    if length > min(MAX_HEADER, size - 8):
        raise CharRNNError(
            f"is no checkpoint, or cut short: it is {size:,} bytes long and announces a header of {length:,} "
            f"({MAX_HEADER:,} at most).",
            _COPY_AGAIN,
        )
    head = start + bytearray(length)
    _fill(file, memoryview(head)[8:])
    return head, size - len(head)


def _parse(head: bytearray, data_bytes: int) -> tuple[Checkpoint, dict[str, _Place]]:
    """Return the checkpoint without its arrays, and the arrays' places in the order of the file."""
    header = _json(head[8:])
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("charrnn"), str):
        raise CharRNNError("is a safetensors file, but no charrnn checkpoint.", "Name a file that charrnn train wrote.")
    content = _json(metadata["charrnn"])
    number = content.get("format")
    if type(number) is not int or number < 1:
        raise _damaged("it does not say which format it has.")
    if number > FORMAT:
        raise CharRNNError(f"is format {number}; this charrnn reads {FORMAT}.", "Upgrade charrnn.")
    _check_start(head)
    try:
        history, progress, version = content["history"], content["progress"], content["version"]
        if not (isinstance(progress, dict) and isinstance(version, str) and all(type(e) is dict for e in history)):
            raise TypeError("progress, history or version has another form")
        training = content["training"]
        _check_known("cell", content["model"]["cell"], CELLS)
        _check_known("stack", content["model"].get("stack", STACKS[0]), STACKS)
        checkpoint = Checkpoint(
            model=_config(ModelConfig, content["model"]),
            vocab=Vocabulary.from_json(content["vocab"]),
            weights={},
            training=None if training is None else _config(TrainConfig, training),
            progress=progress,
            history=list(history),
            # The first files of this format have none: they were read as the defaults say.
            text=_config(TextConfig, content.get("text", {})),
            version=version,
        )
    except KeyError as error:
        raise _damaged(f"its metadata lack {error}.") from None
    except CharRNNError as error:
        raise CharRNNError(f"cannot be used: {error.message}", error.hint or _COPY_AGAIN) from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(f"its metadata hold what they should not ({error}).") from None
    return checkpoint, _layout(header, data_bytes)


def _check_known(what: str, name: object, known: Collection[str]) -> None:
    if isinstance(name, str) and name not in known:
        raise CharRNNError(
            f"its {what} is {name!r}, which this charrnn does not have.",
            "Upgrade charrnn or, if it is a cell of your own, add it first.",
        )


def _layout(entries: dict[str, Any], data_bytes: int) -> dict[str, _Place]:
    """Return the places of all tensors, in the order of the file; they lie without gap or overlap to its end."""
    places = sorted(((_place(name, entry), name) for name, entry in entries.items()), key=lambda pair: pair[0][:2])
    end = 0
    for place, name in places:
        if place.begin != end:
            raise _damaged(f"tensor {name!r:.80} does not begin where the one before ends.")
        end = place.end
    if end > data_bytes:
        raise CharRNNError(f"is cut short: its tensors take {end:,} bytes, {data_bytes:,} are there.", _COPY_AGAIN)
    if end < data_bytes:
        raise _damaged(f"{data_bytes - end:,} bytes follow its last tensor.")
    return {name: place for place, name in places}


def _place(name: str, entry: Any) -> _Place:
    if name.partition("/")[0] not in _PARTS:
        raise _damaged(f"tensor {name!r:.80} is no part of a checkpoint.")
    match entry:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [begin, end], **others} if not others:
            numbers = (*shape, begin, end)
            whole = all(type(number) is int and number >= 0 for number in numbers)
            # Empty tensors are refused because sizes beside a zero are bounded by nothing.
            if whole and code in _DTYPES and len(shape) <= 8 and 0 not in shape:
                dtype = np.dtype(_DTYPES[code])
                fits = end - begin == math.prod(shape) * dtype.itemsize
                if fits and (code == "F32" or not name.startswith("model/")):
                    return _Place(begin, end, dtype, tuple(shape))
    raise _damaged(f"type, shape and place of tensor {name!r:.80} do not fit together.")


def _config(kind: type[Config], data: dict[str, Any]) -> Config:
    """Return the settings in `data`, each of the type that its field declares."""
    types = get_type_hints(kind)
    for name, value in data.items():
        allowed = get_args(types.get(name)) or (types.get(name, type(value)),)
        if type(value) not in allowed and not (type(value) is int and float in allowed):
            raise TypeError(f"{name!r:.40} is {value!r:.40}")
    return from_json(kind, data)


def _json(text: bytearray | str) -> dict[str, Any]:
    """Return a JSON object; a key that stands twice and a number that is not finite are refused."""
    try:
        text = text if isinstance(text, str) else text.decode()
        data = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise CharRNNError(f"is no checkpoint, or damaged: its header is no JSON ({error}).", _COPY_AGAIN) from None
    if not isinstance(data, dict):
        raise CharRNNError("is no checkpoint, or damaged: its header is no JSON object.", _COPY_AGAIN)
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is not finite")
    return number


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as the file holds it, little-endian and in C order; a type that it cannot hold is an error."""
    array = np.asarray(array)
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if plain.dtype not in map(np.dtype, _DTYPES.values()) or not plain.size:
        raise ValueError(f"{name} is {array.dtype} {array.shape}; a checkpoint holds integers and floats, none empty")
    if name.startswith("model/") and plain.dtype != np.float32:
        raise ValueError(f"{name} is {array.dtype}; a checkpoint's weights are float32")
    return plain


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _check_start(head: bytearray) -> None:
    if not head.startswith(_START, 8) or not head.startswith(_BETWEEN, _FILE_DIGITS.stop):
        raise _damaged("its digests are not in their place.")


def _blanked(head: bytearray, *digits: slice) -> bytearray:
    blanked = bytearray(head)
    for place in digits:
        blanked[place] = _BLANK
    return blanked


def _weights_digest(head: bytearray, weights: dict[str, np.ndarray]) -> bytes:
    """Return 64 hex digits over the head (its own digits as zeros) and the weights in the order of their names."""
    digest = hashlib.sha256(_blanked(head, _WEIGHTS_DIGITS))
    for name in sorted(weights):
        digest.update(_bytes(weights[name]))
    return digest.hexdigest().encode()
