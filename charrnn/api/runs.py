"""What has been trained: the runs of a folder, and what each says of itself."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.evaluation import Evaluation
from charrnn.api.history import Record, history_of
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.runs import folder
from charrnn.runs.checkpoint import read_header

if TYPE_CHECKING:
    from charrnn.api.model import Model


@dataclass(frozen=True)
class Run:
    """A trained run, as its newest readable checkpoint tells; None where there is no saying, and `note` says why.

    path: its folder. steps: how many it was trained. best_bits_per_char: the lowest estimate of its validation loss.
    modified: when it was last saved. bytes: what it takes on disk. validation, test: the exact evaluations at the end
    of its training, known only to what has just trained it.
    """

    name: str
    path: Path
    steps: int | None
    model: ModelConfig | None
    best_bits_per_char: float | None
    modified: datetime
    bytes: int
    note: str | None = None
    validation: Evaluation | None = None
    test: Evaluation | None = None

    def load(self) -> "Model":
        """Return the model of the run's best checkpoint."""
        from charrnn.api.model import load

        return load(str(self.path))

    def history(self) -> list[Record]:
        """Return the run's log, a dict for each line: step, epoch, train_nats, val_nats, learning_rate, seconds."""
        run = folder.Run(self.path)
        newest = run.newest()
        return history_of(read_header(newest).history if newest else [], run.log.path)

    def to_json(self) -> dict[str, Any]:
        """Return all that is known as a dict that JSON can hold."""
        model = self.model
        return {
            "name": self.name,
            "steps": self.steps,
            "cell": model and model.cell,
            "layers": model and model.layers,
            "units": model and model.units,
            "stack": model and model.stack,
            "model": model and model.title,
            "best_bits_per_char": self.best_bits_per_char,
            "modified": self.modified.isoformat(timespec="seconds"),
            "bytes": self.bytes,
            "path": str(self.path),
            "note": self.note,
        }


def list_runs(out: str | Path | None = None) -> list[Run]:
    """Return the runs in a folder, the newest first; by default that of CHARRNN_CHECKPOINTS, or `checkpoints`."""
    return [run_of(run) for run in folder.list_runs(None if out is None else Path(out))]


def run_of(run: folder.Run) -> Run:
    """Return what the newest readable header of a run says."""
    files = run.checkpoints()[::-1] + ([run.best] if run.best.is_file() else [])
    steps = model = best = None
    note: str | None = "no checkpoint can be used" if files else "no checkpoint yet"
    for path in files:
        try:
            header = read_header(path)
        except CharRNNError:
            continue
        nats = None if header.progress is None else header.progress.best_nats
        best = None if nats is None else nats / math.log(2)
        steps, model, note = header.step, header.model, None
        break
    modified = datetime.fromtimestamp(run.modified, UTC)
    return Run(run.name, run.path, steps, model, best, modified, _bytes(run.path), note)


def _bytes(path: Path) -> int:
    """Return what all files of a run take."""
    total = 0
    for file in path.rglob("*"):
        # A trainer may remove a checkpoint between the listing and this look at it.
        try:
            total += file.lstat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total
