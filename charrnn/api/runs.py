"""The runs of a folder, and the facts about each of them."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.evaluation import Evaluation
from charrnn.api.given import check_given
from charrnn.api.history import Record, evaluation_of, figures_of, history_of
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import parameter_count
from charrnn.runs import finding, folder
from charrnn.runs.checkpoint import Checkpoint, read_header

if TYPE_CHECKING:
    from charrnn.api.model import Model


@dataclass(frozen=True)
class Run:
    """A trained run, as its newest readable checkpoint describes it; unknown facts are None, and `note` says why.

    path: its folder. steps: how many steps it was trained. best_bits_per_char: the estimate of its validation loss at
    its best step, in bits per `unit`: "character", for a model of bytes "byte", for one of labels "label".
    best_accuracy: of labels, the largest fraction that was right. modified: when it was last saved. bytes: its size on
    disk. why: if no checkpoint can be used, what is wrong and how to fix it. validation, test: the exact evaluations of
    its best checkpoint at the end of its training; None before the end. sources, sha256: of the text that it was
    trained on. val_sha256: of its own text for validation, if it has one.
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
    parameters: int | None = None
    seed: int | None = None
    sources: tuple[str, ...] = ()
    sha256: str | None = None
    unit: str | None = None
    why: str | None = None
    best_accuracy: float | None = None
    val_sha256: str | None = None

    def load(self) -> "Model":
        """Return the model of the run's best checkpoint."""
        from charrnn.api.model import load

        return load(str(self.path))

    def history(self) -> list[Record]:
        """Return the run's log, one dict per line: step, epoch, train_nats, val_nats, learning_rate, seconds."""
        run = folder.Run(self.path)
        newest = run.newest()
        return history_of(read_header(newest).history if newest else [], run.log.path)

    def to_json(self) -> dict[str, Any]:
        """Return all facts as a dict that JSON can hold."""
        model = self.model
        return {
            "name": self.name,
            "steps": self.steps,
            "cell": model and model.cell,
            "layers": model and model.layers,
            "units": model and model.units,
            "stack": model and model.stack,
            "model": model and model.title,
            "parameters": self.parameters,
            "seed": self.seed,
            "sources": list(self.sources),
            "sha256": self.sha256,
            "best_bits_per_char": self.best_bits_per_char,
            **({} if self.best_accuracy is None else {"best_accuracy": self.best_accuracy}),
            "unit": self.unit,
            "validation": self.validation and self.validation.to_json(),
            "test": self.test and self.test.to_json(),
            "modified": self.modified.isoformat(timespec="seconds"),
            "bytes": self.bytes,
            "path": str(self.path),
            "note": self.note,
            "why": self.why,
        }


def list_runs(out: str | Path | None = None) -> list[Run]:
    """Return the runs in a folder, newest first; by default the folder CHARRNN_CHECKPOINTS, or `checkpoints`."""
    check_given(out=out)
    return [run_of(run) for run in finding.list_runs(None if out is None else Path(out))]


def run_of(run: folder.Run) -> Run:
    """Return the facts in the newest readable header of a run."""
    files = run.checkpoints()[::-1] + ([run.best] if run.best.is_file() else [])
    modified = datetime.fromtimestamp(run.modified, UTC)
    about = Run(run.name, run.path, None, None, None, modified, _bytes(run.path), "no checkpoint yet")
    for path in files:
        try:
            header = read_header(path)
        except CharRNNError as error:
            about = replace(about, note="no checkpoint can be used", why=str(error))
        else:
            return _told(about, run, header)
    return about


def _told(about: Run, run: folder.Run, header: Checkpoint) -> Run:
    """Return the facts about a run that a checkpoint has."""
    about = replace(
        about,
        steps=header.step,
        model=header.model,
        note=None,
        why=None,
        unit=header.model.predicted(header.text.unit),
        parameters=parameter_count(header.model, header.vocab.size),
        seed=None if header.training is None else header.training.seed,
    )
    progress = header.progress
    if progress is None:
        return about
    figures, unit = figures_of(run.log.path, progress.best_step), about.unit or header.text.unit
    return replace(
        about,
        best_bits_per_char=None if progress.best_nats is None else progress.best_nats / math.log(2),
        best_accuracy=progress.best_accuracy,
        sources=progress.corpus.sources,
        sha256=progress.corpus.sha256,
        val_sha256=progress.corpus.val_sha256,
        validation=evaluation_of(figures.get("validation"), unit),
        test=evaluation_of(figures.get("test"), unit),
    )


def _bytes(path: Path) -> int:
    """Return the size of all files of a run, in bytes."""
    total = 0
    for file in path.rglob("*"):
        # A trainer may remove a checkpoint between the listing and this look at it.
        try:
            total += file.lstat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total
