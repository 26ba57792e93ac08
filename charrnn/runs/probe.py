"""The file of a probe: a safetensors file with the numbers of a logistic regression, protected by a digest.

Its metadata have one key, `charrnn_probe`: JSON that says what the labels are, and of which models the probe reads the
states. Nothing in it is pickled, and nothing that it says is trusted.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from charrnn import __version__
from charrnn.atomic import check_replaceable, replacing
from charrnn.config import PENALTIES, POOLS, UNKNOWN
from charrnn.errors import CharRNNError
from charrnn.runs.tensors import BLANK, Kind, as_bytes, blanked

FORMAT = 1
_AGAIN = "Copy the file again, or make the probe again: charrnn probe RUN --train TEXTS -o FILE"
PROBE = Kind("probe", _AGAIN, "A probe is a file that charrnn probe wrote: charrnn probe RUN --train TEXTS -o FILE")
ARRAYS = ("bias", "mean", "scale", "weights")

# "digest" is the first of the keys, so it is at the same place in every file.
_KEY = "charrnn_probe"
_START = rb'{"__metadata__":{"charrnn_probe":"{\"digest\":\"'
_DIGITS = slice(8 + len(_START), 8 + len(_START) + 64)


@dataclass(frozen=True)
class Source:
    """A model whose states a probe reads.

    path: where its checkpoint was, a hint. digest: the SHA-256 of the checkpoint's header and weights. fields: those of
    its hidden state, by name ("layer1/h").
    """

    path: str
    digest: str
    fields: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ProbeRecord:
    """What the file of a probe says.

    labels: in the order of the rows of `weights`. models: in the order in which their vectors are side by side. pool,
    unknown: as in `Model.embed`. penalty, c: of the regression; c is the inverse of its strength. accuracy: of the
    held-out texts, None if none was measured. mean, scale, (width,): of the vectors of the training texts. weights,
    (labels, width), and bias, (labels,): of the standardized vectors. All arrays are float32. version: of charrnn.
    """

    labels: tuple[str, ...]
    models: tuple[Source, ...]
    pool: str
    unknown: str | None
    penalty: str
    c: float
    accuracy: float | None
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    version: str = __version__

    @property
    def width(self) -> int:
        """Return how many numbers a vector has."""
        return len(self.mean)


def serialise(record: ProbeRecord) -> bytearray:
    """Return the bytes of the file; the same record gives the same bytes."""
    facts: dict[str, Any] = {
        "accuracy": record.accuracy,
        "c": record.c,
        "format": FORMAT,
        "labels": record.labels,
        "models": [asdict(model) for model in record.models],
        "penalty": record.penalty,
        "pool": record.pool,
        "unknown": record.unknown,
        "version": record.version,
    }
    text = json.dumps({"digest": BLANK.decode(), **facts}, separators=(",", ":"), allow_nan=False)
    arrays = {name: np.ascontiguousarray(getattr(record, name), "<f4") for name in ARRAYS}
    data = bytearray(save(arrays, metadata={_KEY: text}))
    _check_start(data)
    data[_DIGITS] = hashlib.sha256(data).hexdigest().encode()
    return data


def write_probe(path: Path, record: ProbeRecord) -> None:
    """Write a probe; an existing file is replaced only if it is a probe."""
    check_place(path)
    try:
        with replacing(path) as file:
            file.write(serialise(record))
    except OSError as error:
        raise _not_written(path, error) from error


def check_place(path: Path) -> None:
    """Raise CharRNNError if no probe can be written to this path."""
    try:
        check_replaceable(path, "probe", is_probe)
        if not path.parent.is_dir():
            raise CharRNNError(f"{path} cannot be written: there is no folder {path.parent}.", "Name another folder.")
    except OSError as error:
        raise _not_written(path, error) from error


def is_probe(path: Path) -> bool:
    """Return whether a file is a probe, according to its first bytes."""
    with open(path, "rb") as file:
        return f'"{_KEY}"'.encode() in file.read(_DIGITS.start)


def _not_written(path: Path, error: OSError) -> CharRNNError:
    return CharRNNError(
        f"The probe cannot be written to {path}: {error.strerror or error}.",
        hint="Name a file in a folder that exists and is writeable.",
    )


def read_probe(path: Path) -> ProbeRecord:
    """Read a probe and verify all that it says; CharRNNError, which names the file, if anything is wrong with it."""
    with PROBE.opened(path) as file:
        return _read(file)


def _read(file: FileIO) -> ProbeRecord:
    head, data_bytes = PROBE.read_head(file)
    entries = PROBE.json(head[8:])
    outer = entries.pop("__metadata__", None)
    if not isinstance(outer, dict) or not isinstance(outer.get(_KEY), str):
        raise CharRNNError("is a safetensors file, but not a probe.", PROBE.instead)
    facts = PROBE.json(outer[_KEY])
    number = facts.get("format")
    if type(number) is not int or number < 1:
        raise PROBE.damaged("it does not name its format.")
    if number > FORMAT:
        raise CharRNNError(f"has format {number}; this charrnn reads probes of format {FORMAT}.", "Upgrade charrnn.")
    _check_start(head)
    arrays: dict[str, np.ndarray] = {}
    digest = hashlib.sha256(blanked(head, _DIGITS))
    for name, place in PROBE.layout(entries, data_bytes).items():
        if name not in ARRAYS or place.dtype != np.float32:
            raise PROBE.damaged(f"tensor {name!r:.80} does not belong to a probe.")
        arrays[name] = np.empty(place.shape, place.dtype)
        PROBE.fill(file, as_bytes(arrays[name]))
        digest.update(as_bytes(arrays[name]))
    if digest.hexdigest().encode() != head[_DIGITS]:
        raise PROBE.damaged("it does not match its SHA-256.")
    return _record(facts, arrays)


def _record(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> ProbeRecord:
    """Return what a file says; CharRNNError if a value is missing, or is not what it must be."""
    match facts:
        case {
            "accuracy": accuracy,
            "c": float() as c,
            "labels": [str(), str(), *_] as labels,
            "models": [_, *_] as models,
            "penalty": penalty,
            "pool": pool,
            "unknown": unknown,
            "version": str() as version,
        } if (
            all(isinstance(label, str) for label in labels)
            and len(set(labels)) == len(labels)
            and pool in POOLS
            and penalty in PENALTIES
            and (unknown is None or unknown in UNKNOWN)
            and 0 < c < math.inf
            and _is_share(accuracy)
        ):
            sources = tuple(map(_source, models))
            record = ProbeRecord(
                tuple(labels), sources, pool, unknown, penalty, c, accuracy, **_numbers(arrays, len(labels)),
                version=version,
            )  # fmt: skip
            return record
    raise PROBE.damaged("its metadata are not those of a probe.")


def _is_share(value: Any) -> bool:
    return value is None or (isinstance(value, float) and 0 <= value <= 1)


def _source(model: Any) -> Source:
    match model:
        case {"path": str() as path, "digest": str() as digest, "fields": [str(), *_] as fields, **more} if (
            not more and all(isinstance(field, str) for field in fields)
        ):
            return Source(path, digest, tuple(fields))
    raise PROBE.damaged("its metadata do not say of which models it reads the states.")


def _numbers(arrays: dict[str, np.ndarray], labels: int) -> dict[str, np.ndarray]:
    """Return the arrays of a probe; CharRNNError unless their shapes fit each other and their values are possible."""
    shape = arrays["mean"].shape if "mean" in arrays else ()
    wanted = {"bias": (labels,), "mean": shape, "scale": shape, "weights": (labels, *shape)}
    if len(shape) != 1 or {name: array.shape for name, array in arrays.items()} != wanted:
        raise PROBE.damaged("the shapes of its tensors do not fit each other.")
    if not all(np.isfinite(array).all() for array in arrays.values()) or arrays["scale"].min() <= 0:
        raise PROBE.damaged("its tensors have values that are not possible.")
    return arrays


def _check_start(head: bytearray) -> None:
    if not head.startswith(_START, 8):
        raise PROBE.damaged("its digest is not in its place.")
