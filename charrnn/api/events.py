"""What happens during a training run, from the first notice to the exact evaluation at its end.

A run yields `Noticed` and `Loading`, then what its trainer yields (`charrnn.training.events`), from `Began` to `Ended`,
and then `Measured` for each part of the text that was held out.

A comparison yields `Noticed` and `Planned`, then for each of its runs `RunBegan`, what this run yields (`OfRun`), and
`RunEnded`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.evaluation import Evaluation
from charrnn.api.json_text import finite
from charrnn.training.events import (
    Began,
    BudgetFixed,
    Ended,
    Evaluated,
    FolderMade,
    RolledBack,
    Saved,
    SaveFailed,
    Stepped,
)

if TYPE_CHECKING:
    from charrnn.api.comparison import Trial

__all__ = [
    "Began",
    "BudgetFixed",
    "Ended",
    "Evaluated",
    "Event",
    "FolderMade",
    "Loading",
    "Measured",
    "Noticed",
    "OfRun",
    "Planned",
    "RolledBack",
    "RunBegan",
    "RunEnded",
    "SaveFailed",
    "Saved",
    "Stepped",
]


@dataclass(frozen=True)
class Noticed:
    """A message of one sentence for the user; `is_advice` if nothing depends on it."""

    message: str
    is_advice: bool = False


@dataclass(frozen=True)
class Loading:
    """The backend is being loaded; it waits for this number of `others`, processes that train the same run."""

    backend: str
    others: int = 0


@dataclass(frozen=True)
class Measured:
    """The best checkpoint was evaluated exactly on a held-out `part`, "validation" or "test".

    Only the first `characters_read` of all `characters` of the part are read, if it is long. `compressors` are the bits
    per character that compressors need for the same text. `train_nats` is the last training loss, in nats per
    character. `frequency_nats` is the loss of guessing by the frequencies of the characters in the training part, and
    `uniform_nats` the loss of guessing without any knowledge. `step` is the step of the checkpoint. If `loss_after` is
    a character, only the text after it counts.
    """

    part: str
    evaluation: Evaluation
    characters_read: int
    characters: int
    compressors: Mapping[str, float] = field(default_factory=dict)
    train_nats: float | None = None
    loss_after: str | None = None
    frequency_nats: float | None = None
    uniform_nats: float | None = None
    step: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record of it in the log (`charrnn.api.history.figures_of`)."""
        # Code that reads the losses of each line of the log finds None here.
        losses = {"train_nats": None, "val_nats": None}
        record = {
            "characters": self.evaluation.characters,
            "characters_read": self.characters_read,
            "nats_per_char": self.evaluation.nats_per_char,
            "bits_per_char": self.evaluation.bits_per_char,
            "bits_per_byte": finite(self.evaluation.bits_per_byte),
            "frequency_nats": self.frequency_nats,
            "compressors": dict(self.compressors),
            "repeated": self.evaluation.repeated and self.evaluation.repeated.to_json(),
            **self.evaluation.labels_to_json(),
        }
        known = {name: value for name, value in record.items() if value not in (None, {})}
        return {"step": self.step, "part": self.part, **losses, **known}


@dataclass(frozen=True)
class Planned:
    """The folder of a comparison was made or found; `runs` are the names of its runs, in their order."""

    path: Path
    runs: tuple[str, ...]


@dataclass(frozen=True)
class RunBegan:
    """A run of a comparison begins or, if it `resumes`, goes on; `number` counts from 1 to `count`."""

    name: str
    number: int
    count: int
    resumes: bool


@dataclass(frozen=True)
class OfRun:
    """An event of a run of a comparison; of its steps only some are told."""

    name: str
    event: "Event"


@dataclass(frozen=True)
class RunEnded:
    """A run of a comparison has ended, or has failed."""

    name: str
    trial: "Trial"


Event = (
    Noticed
    | Loading
    | Began
    | Stepped
    | Evaluated
    | BudgetFixed
    | Saved
    | SaveFailed
    | FolderMade
    | RolledBack
    | Ended
    | Measured
    | Planned
    | RunBegan
    | OfRun
    | RunEnded
)
