"""What TensorBoard shows of a run in training: the lines of its log, gradients, gates and states, and samples."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from charrnn.api.events import Ended, Evaluated, Event, Noticed, RolledBack, Stepped
from charrnn.api.history import Record, number, records
from charrnn.data.parts import Part, select
from charrnn.errors import CharRNNError, NotWritten
from charrnn.inference.distributions import distributions
from charrnn.runs.folder import Run
from charrnn.training.tensorboard import OWNER, EventFiles, load
from charrnn.training.trainer import Trainer

if TYPE_CHECKING:
    from charrnn.api.session import Training

# The folder in that of the run.
FOLDER = "tensorboard"
# Gates and states are those of so many characters of the validation part.
READ = 1000
# The first steps compile: they do not show the speed.
COMPILING = 2


class Board:
    """Writes what happens in a training for TensorBoard; several processes call it, but only the first one writes.

    `folder` is where; None: `tensorboard` in the run's folder. The scalars are those of the lines of metrics.jsonl. So
    those of steps before this training that are not in the folder yet, whatever the reason, are written too.
    """

    def __init__(self, training: "Training", trainer: Trainer, folder: Path | None):
        assert training.job is not None
        self.training, self.trainer, self.named = training, trainer, folder
        self.run, data = training.job.run, training.job.data
        self.part = _beginning(data.parts.val[0] if data.parts.val else data.parts.train)
        self.predicted = training.job.model.predicted(data.corpus.text.config.unit)
        self.characters = trainer.config.batch * trainer.config.seq
        self.files: EventFiles | None = None
        self.failed = not training.is_first
        # The step after which the next files begin; the place in the log up to which it has been read.
        self.begin, self.read = trainer.step, 0
        # How many steps were taken since the last line of the log, and in which time.
        self.steps, self.seconds, self.compiling = 0, 0.0, COMPILING

    def events(self) -> Iterator[Event]:
        """Train: yield the events of the trainer, each after it was written, and a message if that failed."""
        learner = self.trainer.learner
        if self.training.is_first:
            load()
        # Compiled now, it counts in the time that `minutes` allows.
        learner.gradient_norms(self.trainer.step)
        try:
            before = perf_counter()
            for event in self.trainer.events():
                if isinstance(event, Stepped):
                    self._time(perf_counter() - before)
                norms = learner.gradient_norms(event.step) if isinstance(event, Evaluated) else {}
                if not self.failed:
                    # Nothing that only observes may end the training.
                    try:
                        self._see(event, norms)
                    except Exception as error:
                        self.failed = True
                        yield Noticed(f"{_why(error)} Training continues without them.")
                yield event
                before = perf_counter()
        finally:
            with suppress(Exception):
                self._close()

    def _time(self, seconds: float) -> None:
        if self.compiling:
            self.compiling -= 1
        else:
            self.steps, self.seconds = self.steps + 1, self.seconds + seconds

    def _see(self, event: Event, norms: Mapping[str, float]) -> None:
        """Write what an event brings."""
        if isinstance(event, RolledBack):
            self._close()
            self.begin = event.step
            self.steps, self.seconds = 0, 0.0
        elif isinstance(event, Stepped | Evaluated | Ended):
            if len(self.run.log.lines) != self.read or isinstance(event, Evaluated):
                files = self._open()
                if files is not None:
                    self._write_lines(files)
                    if isinstance(event, Evaluated):
                        self._write_evaluation(files, event, norms)
            if isinstance(event, Ended):
                self._close()

    def _open(self) -> EventFiles | None:
        """Return the files; None if the run's folder was moved away, until the next save makes it again."""
        if self.files is not None and not self.files.path.exists():
            self._close()
            self.begin = self.trainer.step
        if self.files is None and (self.named is not None or self.run.path.is_dir()):
            folder = self.named or self.run.path / FOLDER
            self.files = EventFiles(folder, self.begin, parents=self.named is not None, run=self.run.path)
            self.read = 0
        return self.files

    def _close(self) -> None:
        files, self.files = self.files, None
        if files is not None:
            files.close()

    def _write_lines(self, files: EventFiles) -> None:
        """Write the new lines of the log."""
        lines = self.run.log.lines
        new, self.read = records(bytes(lines[self.read :])), len(lines)
        for record in new:
            for tag, value, what in self._scalars(record):
                files.scalar(tag, value, record["step"], what)
        if new and self.steps:
            speed = self.steps * self.characters / self.seconds
            files.scalar("training/characters_per_second", speed, new[-1]["step"], "without evaluations")
            self.steps, self.seconds = 0, 0.0

    def _scalars(self, record: Record) -> Iterator[tuple[str, float, str]]:
        """Yield the tag, the value and an explanation of each number of a line of the log."""
        if "rollback" in record or "part" in record:
            return
        for name, part in (("train_nats", "train"), ("val_nats", "validation")):
            if (nats := number(record.get(name))) is not None:
                yield f"loss/{part}", nats, f"cross-entropy in nats per {self.predicted}"
                yield f"bits_per_{self.predicted}/{part}", nats / math.log(2), f"bits per {self.predicted}"
        if (accuracy := number(record.get("val_accuracy"))) is not None:
            yield "accuracy/validation", accuracy, "the fraction of the labels that are right"
        if (rate := number(record.get("learning_rate"))) is not None:
            yield "training/learning_rate", rate, "the learning rate of the last step"

    def _write_evaluation(self, files: EventFiles, event: Evaluated, norms: Mapping[str, float]) -> None:
        """Write gradients, gates, states and a sample, and let all of it be in the file."""
        step = event.step
        whole = math.sqrt(sum(norm * norm for norm in norms.values()))
        for name, norm in {"global": whole, **norms}.items():
            files.scalar(f"gradients/{name}", norm, step, "the norm of the gradient of the next step, before clipping")
        for name, values in distributions(self.training.model(event).network, self.part).items():
            files.histogram(name, values, step, f"after each of {len(self.part):,} characters, of all units")
        if event.sample:
            files.text("sample", event.sample, step, "a text that the model wrote")
        files.flush()


def _beginning(part: Part) -> Part:
    """Return the first READ characters of a part, without the symbols of labels, which no model reads."""
    part = part.cut(0, min(len(part), READ))
    classes = part.classes
    return part if classes is None else select(part, lambda low, high: classes[part.codes[low:high]] < 0)


def _why(error: Exception) -> str:
    if isinstance(error, NotWritten):
        return error.message
    return f"TensorBoard's files could not be written: {type(error).__name__}: {error}."


def check_folder(folder: Path | None, run: Run) -> None:
    """Raise CharRNNError if TensorBoard's files of a run cannot be in a folder; None is the run's own one."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise CharRNNError(f"`tensorboard_dir` is {folder}, which is a file.", hint="Name a folder; it may be new.")
    if not any(folder.glob("*tfevents*")):
        return
    mark, other = folder / OWNER, "another run"
    if not run.is_new:
        owner = os.fsdecode(mark.read_bytes()) if mark.is_file() else str(run.path.resolve())
        if owner == str(run.path.resolve()):
            return
        other = f"another run, {owner}"
    hint = (
        "If that run was never saved, the folder can be removed."
        if run.is_new
        else f"If it is this run, which was elsewhere, remove {mark}."
    )
    raise CharRNNError(
        f"`tensorboard_dir` is {folder}, which has the TensorBoard files of {other}.",
        hint=f"Name another folder: each run has its own one. {hint}",
    )
