"""The events of training, which the trainer yields."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import NotWritten


@dataclass(frozen=True)
class Began:
    """Training begins or, after `step` steps, goes on; `path` is the run's folder.

    `total` is None until the speed is measured; `best_nats` is the lowest validation loss so far, or None. Of labels it
    is the loss at the `best_accuracy`.
    """

    path: Path
    model: ModelConfig
    training: TrainConfig
    vocab_size: int
    step: int
    total: int | None
    best_nats: float | None
    steps_per_epoch: int
    best_accuracy: float | None = None


@dataclass(frozen=True)
class Stepped:
    """A step was taken. `step` counts from 1; `total` is None until the speed is measured.

    `nats` is the loss in nats per character, of this step or, on a GPU, of the newest one that it has computed; None if
    there is no new one, as no character of the window counted.
    """

    step: int
    total: int | None
    epoch: float
    nats: float | None
    learning_rate: float


@dataclass(frozen=True)
class Evaluated:
    """The validation loss was estimated; `train_nats` is the mean since the last line of the log, None if no loss.

    Losses are in nats per character or, for labels, per label; `val_accuracy` is the fraction of the labels that are
    right. `sample` is a short text that the model drew, None for labels or if it could not draw one.
    """

    step: int
    epoch: float
    train_nats: float | None
    val_nats: float | None
    best: bool
    weights: dict[str, np.ndarray]
    val_accuracy: float | None = None
    sample: str | None = None


@dataclass(frozen=True)
class BudgetFixed:
    """The speed was measured; the number of steps that `minutes` allows is fixed and on disk.

    `before` is the number until now, if a changed speed changed it; None the first time.
    """

    total: int
    characters_per_second: float
    before: int | None = None


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written because a user or a program asked for it."""

    step: int


@dataclass(frozen=True)
class SaveFailed:
    """A checkpoint could not be written; training goes on, and the next save makes up for it."""

    step: int
    error: NotWritten


@dataclass(frozen=True)
class FolderMade:
    """The run's folder had been moved or removed, and was made again as `path`, perhaps with another name."""

    path: Path


@dataclass(frozen=True)
class RolledBack:
    """Training diverged (`why`); it goes on from `step`, at `rate_scale` times the rate of its schedule."""

    step: int
    why: str
    rate_scale: float


@dataclass(frozen=True)
class Ended:
    """Training is over: `reason` is "budget", "patience" or "interrupted"."""

    reason: str
    step: int


Event = Began | Stepped | Evaluated | BudgetFixed | Saved | SaveFailed | FolderMade | RolledBack | Ended
