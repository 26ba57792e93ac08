"""One process's part in a training run: it holds the lock, runs the backend and the trainer, and yields events."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.api.datasets import corpus_record
from charrnn.api.events import Ended, Evaluated, Event, Loading, Measured, Noticed, Stepped
from charrnn.api.hardware import Place
from charrnn.api.held_out import measured, seconds_needed
from charrnn.api.json_text import finite
from charrnn.api.model import Model
from charrnn.api.preview import preview
from charrnn.api.tensorboard import Board, check_folder
from charrnn.atomic import sync_folder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.corpus import Dataset
from charrnn.engines import COMPILED, FRAMEWORK
from charrnn.errors import CharRNNError, NotWritten
from charrnn.inference import model as inference
from charrnn.inference.plan import check
from charrnn.network.stacks import layers_of
from charrnn.runs.checkpoint import Checkpoint
from charrnn.runs.folder import Run, create_run, runs_folder
from charrnn.runs.progress import Progress
from charrnn.text import cache
from charrnn.text.reader import Watch
from charrnn.training.backends.choice import choose
from charrnn.training.backends.engines import choose_engine
from charrnn.training.backends.jax import distributed
from charrnn.training.backends.start import cut, start
from charrnn.training.tensorboard import check_installed
from charrnn.training.trainer import Trainer


@dataclass(frozen=True, eq=False)
class Job:
    """What to train: a run, its settings, its text, and the weights or the checkpoint that it starts from.

    `new_plan` says that the plan in `resumed` (`charrnn.training.plan`) is not yet on disk.
    """

    run: Run
    model: ModelConfig
    config: TrainConfig
    data: Dataset
    shards: int
    resumed: Checkpoint | None = None
    weights: Mapping[str, np.ndarray] | None = None
    new_plan: bool = False


Prepare = Callable[["Training"], Generator[Event, None, Job]]


class Training:
    """A training run in progress: iterate over it to train; it yields its events (`charrnn.api.events`).

    `stop` saves the run after the current step and ends it; `save` saves it after the current step and continues. Both
    may be called from a signal handler. A run that never took a step leaves no trace, however it ends.
    """

    def __init__(
        self,
        prepare: Prepare,
        place: Place,
        watch: Watch | None,
        began: float | None = None,
        tensorboard: bool = False,
        tensorboard_dir: Path | None = None,
    ):
        """Keep the arguments; nothing is prepared yet.

        watch: is called with the number of bytes of a text read so far, and of all. began: the time (`perf_counter`)
        from which `minutes` counts; by default now. tensorboard, tensorboard_dir: as in `train_events`.
        """
        self.tensorboard, self.tensorboard_dir = tensorboard or tensorboard_dir is not None, tensorboard_dir
        self.place = place
        self.watch = watch
        self.began = perf_counter() if began is None else began
        self.run: Run | None = None
        self.job: Job | None = None
        self.ended: Ended | None = None
        # Makes a context that a signal handler must not interrupt halfway.
        self.undisturbed: Callable[[], AbstractContextManager[Any]] = nullcontext
        # Prints the last message when another process ends this one, in native code.
        self.last_words: Callable[[CharRNNError], None] = lambda error: print(error, file=sys.stderr)
        self._trainer: Trainer | None = None
        self._stopping = self._saving = False
        self._events = self._all(prepare)

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __next__(self) -> Event:
        return next(self._events)

    @property
    def is_first(self) -> bool:
        """Return whether this process writes the run; if several train together, only one does."""
        return self.place.processes.is_first

    @property
    def is_stepping(self) -> bool:
        """Return whether the first step has been taken and the last not yet, so that `stop` has something to stop."""
        return self._trainer is not None and self.ended is None

    @property
    def progress(self) -> Progress:
        """Return how far training is; it may be asked only after the first step."""
        assert self._trainer is not None
        return self._trainer.progress

    def stop(self) -> None:
        """End training after the current step, or before the first one; its state is saved."""
        self._stopping = True
        if self._trainer is not None:
            self._trainer.interrupted = True

    def save(self) -> None:
        """Save after the current step, or after the first one, and continue."""
        self._saving = True
        if self._trainer is not None:
            self._trainer.save_wanted = True

    def close(self) -> None:
        """End training at once: what is not saved is lost, and the run's lock is released."""
        self._events.close()

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def model(self, event: Evaluated) -> Model:
        """Return the model as it was at an evaluation."""
        assert self.job is not None and self.run is not None
        corpus = self.job.data.corpus
        network = inference.Model(self.job.model, corpus.vocab, event.weights, corpus.text.config, event.val_nats)
        return Model(network, self.run.best)

    def open(self, find: Callable[[], Run]) -> Run:
        """Find or make the run; the first process takes its lock, and the others write nothing to it."""
        if not self.is_first:
            self.run = find()
            return self.run
        # A signal after the folder is made, but before `self.run` is set, would leave the folder behind.
        with self.undisturbed():
            self.run = find()
            self.run.hold()
        if self.run.is_new:
            # The folder's name must survive a power cut too. If the parent cannot be read, the file system decides.
            with suppress(OSError):
                sync_folder(self.run.path.parent)
        return self.run

    def make(self, name: str | None, default_name: str, out: Path | None) -> Run:
        """Make the folder of a new run, as `create_run`, and open it; other processes get one that is never written."""
        return self.open(
            lambda: create_run(name, default_name, out) if self.is_first else Run(runs_folder() / "elsewhere")
        )

    def tidy(self) -> None:
        """Remove unfinished files and release the lock, for a process that ends at once."""
        cache.tidy()
        if self.run is not None and self.is_first:
            self.run.abandon()

    def _all(self, prepare: Prepare) -> Generator[Event, None, None]:
        backend = os.environ.get("KERAS_BACKEND")
        try:
            if self.tensorboard:
                check_installed()
            self.job = job = yield from prepare(self)
            yield from self._train(job)
            if self.is_first and self._trainer and self.ended and self.ended.reason != "interrupted":
                try:
                    for event in measured(job.run, job.data, self._trainer.history):
                        yield from _recorded(job.run, event)
                except CharRNNError as error:
                    # The best checkpoint was damaged since it was written; the run is complete.
                    yield Noticed(f"The held-out text was not evaluated exactly. {error.message}")
        finally:
            if self.run is not None and self.is_first:
                self.run.abandon()
            if "keras" not in sys.modules:
                # Keras was not loaded, so another training may still choose a backend.
                os.environ.pop("KERAS_BACKEND", None)
                os.environ.update({} if backend is None else {"KERAS_BACKEND": backend})

    def _train(self, job: Job) -> Iterator[Event]:
        """Load the backend and train."""
        processes, text = self.place.processes, job.data.corpus.text
        if self.tensorboard and self.is_first:
            check_folder(self.tensorboard_dir, job.run)
        for source, file in text.kept.items():
            path = job.run.kept(source)
            job.run.held[path.name] = job.run.ahead[path] = file
        for cell in set(layers_of(job.model)):
            check(cell)
        with distributed.ends_with_others(processes):
            yield Loading(choose().title, processes.count - 1)
            count = self._start(job)
            if processes.count > 1:
                processes.check_alike(_facts(job, self.tensorboard))
            on_gpu = choose().engine().on_gpu()
            device = "gpu" if on_gpu else "cpu"
            if device == "gpu":
                yield Noticed(f"Training on {count} GPU{'' if count == 1 else 's'}.", is_advice=True)
            if job.resumed and job.resumed.progress:
                yield from _rounding(job.resumed.progress, device, count)
            before = job.resumed.progress.engine or FRAMEWORK if job.resumed and job.resumed.progress else None
            resets = job.data.parts.train.resets
            engine, notice = choose_engine(self.place.engine, before, job.model, job.config.precision, on_gpu, resets)
            if notice:
                yield Noticed(notice)
            trainer = self._make_trainer(job, count, engine)
            trainer.interrupted, trainer.save_wanted = self._stopping, self._saving
            board = Board(self, trainer, self.tensorboard_dir) if self.tensorboard else trainer
            for event in board.events():
                if isinstance(event, Stepped) and self._trainer is None:
                    # From now on there is something to stop. It may have been asked for since the trainer was made.
                    self._trainer = trainer
                    trainer.interrupted |= self._stopping
                    trainer.save_wanted |= self._saving
                elif isinstance(event, Ended):
                    self._trainer, self.ended = trainer, event
                yield event
            processes.leave()

    def _start(self, job: Job) -> int:
        """Start the backend; return how many shards the batch is cut into."""
        processes = self.place.processes
        if processes.count > 1:

            def last_words() -> None:
                self.tidy()
                self.last_words(distributed.lost())

            distributed.end_with(last_words)
        started = start(job.shards, device=self.place.device, processes=processes)
        return cut(job.config.batch, started, processes.count)

    def _make_trainer(self, job: Job, shards: int, engine: str) -> Trainer:
        # Keras is imported only after its backend has been started.
        from charrnn.training.learner import KerasLearner

        corpus, weights = job.data.corpus, job.resumed.weights if job.resumed else job.weights
        parts, text = job.data.parts, corpus.text.config
        if text.reverse:
            parts = parts.turned(corpus.vocab.encode(text.document_end or "").tolist())
        return Trainer(
            job.run,
            KerasLearner(job.model, corpus.vocab, job.config, parts, shards, weights, engine),
            job.model,
            corpus.vocab,
            job.config,
            corpus_record(job.data),
            text,
            job.resumed,
            job.new_plan,
            clock=lambda: perf_counter() - self.began,
            reserve=seconds_needed(job.model, job.data) if self.is_first else 0.0,
            processes=self.place.processes,
            draw=partial(preview, job.model, corpus.vocab, text),
        )


def _recorded(run: Run, event: Measured) -> Iterator[Event]:
    """Yield an evaluation after its figures are in the log; no checkpoint covers them, so resuming removes them."""
    run.log.append(finite(event.to_json()))
    try:
        run.log.sync()
    except NotWritten as error:
        yield Noticed(f"The figures of the {event.part} part could not be written to the log: {error.message}")
    yield event


def _rounding(before: Progress, device: str, count: int) -> Iterator[Noticed]:
    """Yield a notice if a resumed run will not be the same to the bit."""
    until_now = before.device or "cpu"
    if device != until_now:
        more = ", and draws other dropout masks" if before.engine == COMPILED else ""
        yield Noticed(f"Until now it was trained on a {until_now}: a {device} rounds differently{more}.")
    elif count != before.shards:
        yield Noticed(
            f"The batch is now cut into {count} parts (before: {before.shards}), so sums are rounded differently."
        )


def _facts(job: Job, tensorboard: bool) -> dict[str, str]:
    """Return digests of everything that must be the same in all processes; the place of a text may differ."""
    corpus, record, resumed = job.data.corpus, corpus_record(job.data), job.resumed
    weights = (resumed and resumed.weights) or job.weights or {}
    facts: dict[str, Any] = {
        "text": [record.sha256, record.val_sha256],
        "settings": [*map(str, (job.model, job.config, corpus.text.config)), corpus.vocab.to_json()],
        "checkpoint": resumed and resumed.progress and resumed.progress.to_json(),
        "`tensorboard`": tensorboard,
        "weights": {name: _digest(weight) for name, weight in weights.items()},
    }
    return {what: _digest(json.dumps(fact).encode()) for what, fact in facts.items()}


def _digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()
