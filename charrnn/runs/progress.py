"""The progress of a run: the record of its training in a checkpoint, besides the settings and the arrays."""

import hashlib
from dataclasses import asdict, dataclass, fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

Record = TypeVar("Record", bound="LogPosition | CorpusRecord | Stability | Progress")

# Keys that a file may lack, because it is older than they are or they do not apply: None here, and not written.
_MAY_LACK = ("backend", "device", "engine", "include", "val_sources", "val_sha256", "schedule_step", "schedule_rate",
             "best_accuracy")  # fmt: skip
_MOST, _MOST_SHARDS = 1e300, 1_000_000
_NEVER_NEGATIVE = ("schedule_step", "schedule_rate",
                   "bytes", "characters", "rollbacks", "step", "total", "evaluated_step", "evaluations_since_best",
                   "loss_steps")  # fmt: skip


@dataclass(frozen=True)
class LogPosition:
    """A prefix of the log, `metrics.jsonl`: its length in bytes and its SHA-256."""

    bytes: int = 0
    sha256: str = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class CorpusRecord:
    """The place of a run's text and its content: `sources` are absolute paths, or "-", "-2", … for stdin and pipes.

    `include` has patterns for names in folders; `val_sources` and `val_sha256` describe the text that validates, if it
    is another text.
    """

    sources: tuple[str, ...]
    sha256: str
    characters: int
    include: tuple[str, ...] | None = None
    val_sources: tuple[str, ...] | None = None
    val_sha256: str | None = None


@dataclass(frozen=True)
class Stability:
    """The state of the guard against divergence (`training/divergence.py`); losses are in nats.

    It has the mean and the mean deviation of the losses, the factor of the learning rate, the number of returns to a
    good state since the last improvement, and the step at which training last diverged.
    """

    loss_mean: float | None = None
    loss_deviation: float = 0.0
    rate_scale: float = 1.0
    rollbacks: int = 0
    # Far enough before the first step that no jump of the loss is attributed to it.
    forgiven_step: int = -20


@dataclass(frozen=True)
class Progress:
    """How far training is: after `step` of `total` steps; `total` is None until the speed for `minutes` is measured.

    `best_nats` and `best_step` are the lowest validation loss and its step or, of labels, the loss at the step with the
    `best_accuracy`, the largest fraction that was right; `loss_sum` is the sum of the `loss_steps`
    training losses since the last line of the log; `seconds` is the training time, over all processes.
    `schedule_step` is the step at which the learning-rate schedule began, if not at 0. `schedule_rate` is the rate
    from which it goes on there; None if it begins again. `engine` computed the cells.
    """

    corpus: CorpusRecord
    shards: int = 1
    backend: str | None = None
    device: str | None = None
    step: int = 0
    total: int | None = None
    best_nats: float | None = None
    best_step: int | None = None
    evaluated_step: int = 0
    evaluations_since_best: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    seconds: float = 0.0
    stability: Stability = Stability()
    metrics: LogPosition = LogPosition()
    schedule_step: int | None = None
    schedule_rate: float | None = None
    engine: str | None = None
    best_accuracy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the object for a file: keys sorted, the guard's values among the others."""
        data = asdict(self)
        guard = data.pop("stability")
        return _written(data | guard)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        """Return the progress from what `to_json` returned; KeyError if a key is missing.

        Raises TypeError or ValueError for values that are not valid.
        """
        corpus, metrics = _read(CorpusRecord, data["corpus"]), _read(LogPosition, data["metrics"])
        progress = _read(cls, {**data, "corpus": corpus, "metrics": metrics, "stability": _read(Stability, data)})
        if not 1 <= progress.shards <= _MOST_SHARDS:
            raise ValueError(f"'shards' is {progress.shards}")
        return progress


def _written(data: dict[str, Any]) -> dict[str, Any]:
    """Return a record as JSON."""
    kept = {name: data[name] for name in sorted(data) if data[name] is not None or name not in _MAY_LACK}
    kinds: dict[type, Any] = {dict: _written, tuple: list}
    return {name: kinds.get(type(value), lambda same: same)(value) for name, value in kept.items()}


def _read(kind: type[Record], data: Any) -> Record:
    """Return a record from an object that may have more keys; TypeError if a value does not have its field's type."""
    if not isinstance(data, dict):
        raise TypeError(f"{data!r:.40} is not an object")
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in data or field.name not in _MAY_LACK:
            value = data[field.name]
            value = tuple(value) if isinstance(value, list) else value
            # Arithmetic with a larger number could overflow.
            huge = isinstance(value, int | float) and not abs(value) < _MOST
            negative = field.name in _NEVER_NEGATIVE and isinstance(value, int | float) and value < 0
            if not _fits(value, field.type) or huge or negative:
                raise TypeError(f"{field.name!r} is {value!r:.40}")
            values[field.name] = value
    return kind(**values)


def _fits(value: Any, declared: Any) -> bool:
    if isinstance(declared, UnionType):
        return any(_fits(value, kind) for kind in get_args(declared))
    if get_origin(declared) is tuple:
        return type(value) is tuple and all(type(item) is str for item in value)
    # JSON may write a whole float without a decimal point.
    return type(value) is declared or (declared is float and type(value) is int)
