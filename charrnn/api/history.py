"""The history of a training run, read from its log and its checkpoints, with the losses in bits."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.api.evaluation import Evaluation
from charrnn.data.repeated import Repeated

# The names of the parts of a text that are held out.
PARTS = ("validation", "test")
Record = dict[str, Any]
# The exact figures are the last lines of a log; they take at most this many bytes.
TAIL = 1 << 14
# Steps, with the bits per character at each step.
Series = list[tuple[int, float]]


@dataclass(frozen=True)
class Losses:
    """The losses at the steps of a run; `best` is the lowest validation loss."""

    train: Series
    validation: Series

    @property
    def best(self) -> tuple[int, float] | None:
        return min(self.validation, key=lambda point: point[1], default=None)


def losses(history: list[Record]) -> Losses:
    """Return the losses of a history; a loss that is null or not a number is left out."""
    both: dict[str, Series] = {"train_nats": [], "val_nats": []}
    for record in history:
        for name, series in both.items():
            nats = number(record.get(name))
            if nats is not None:
                series.append((record["step"], nats / math.log(2)))
    return Losses(*both.values())


def history_of(recorded: list[Record], log: Path | None) -> list[Record]:
    """Return the history that a checkpoint recorded, or that of the log if the log has more lines."""
    recorded = [record for record in recorded if _has_step(record)]
    logged = [] if log is None else _read(log)
    return logged if len(logged) > len(recorded) else recorded


def samples_of(log: Path) -> list[tuple[int, str]]:
    """Return the samples in a log, each with the step of its evaluation; older runs have none."""
    found = [(record["step"], record.get("sample")) for record in _lines(log)]
    return [(step, sample) for step, sample in found if isinstance(sample, str)]


def _read(log: Path) -> list[Record]:
    """Return the history of training in a log as checkpoints record it: without its samples."""
    return [{name: value for name, value in record.items() if name != "sample"} for record in _lines(log)]


def _lines(log: Path) -> list[Record]:
    """Return the records of training in a log, without the exact figures at its end."""
    try:
        # Reading a FIFO would wait.
        found = records(log.read_bytes()) if log.is_file() else []
    except OSError:
        return []
    return [record for record in found if "part" not in record]


def figures_of(log: Path, step: int | None) -> dict[str, Record]:
    """Return the exact figures at the end of a log, by held-out part, if they are of the checkpoint of `step`."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            found = records(file.read())
    except OSError:
        return {}
    return {record["part"]: record for record in found if record["step"] == step and record.get("part") in PARTS}


def evaluation_of(record: Record | None, unit: str) -> Evaluation | None:
    """Return the evaluation in the log's record of a part; None if the record has no evaluation."""
    names = ("characters", "nats_per_char")
    characters, nats = (None if record is None else number(record.get(name)) for name in names)
    if record is None or characters is None or nats is None:
        return None
    bits = number(record.get("bits_per_byte"))
    per_byte = math.nan if bits is None else bits
    counts = [number(record.get(name)) for name in ("right", "most_frequent")]
    right, most_frequent = (None if count is None else int(count) for count in counts)
    return Evaluation(int(characters), nats, per_byte, unit, _repeated(record.get("repeated")), right, most_frequent)


def _repeated(told: Any) -> Repeated | None:
    """Return how much of a part also occurs in the training part, by the log; None if the log does not say."""
    if not isinstance(told, dict):
        return None
    pieces, count, kind = number(told.get("pieces")), number(told.get("count")), told.get("kind")
    if pieces is None or count is None or not isinstance(kind, str):
        return None
    return Repeated(int(pieces), int(count), kind)


def records(data: bytes) -> list[Record]:
    """Return the records of a log; other lines, such as one that is still being written, are left out."""
    records = []
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and _has_step(record):
            records.append(record)
    return records


def _has_step(record: Record) -> bool:
    step = record.get("step")
    return type(step) is int and 0 <= step < 2**63


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else that JSON may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return value if math.isfinite(value) else None
