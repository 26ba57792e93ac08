"""The state of a run in training, its log and its checkpoints."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import NotWritten
from charrnn.runs.checkpoint import Checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.jax.distributed import ALONE, Processes
from charrnn.training.divergence import Diverged
from charrnn.training.learner_protocol import Learner, State
from charrnn.training.plan import planned_total, rate_at

# Draws a text from weights after a number of steps; the last argument is the validation loss in nats, if it is known.
Draw = Callable[[dict[str, np.ndarray], int, float | None], str | None]


class Keeper:
    """A run in training, without the training loop (`training/trainer.py`).

    model, vocab, config, text and corpus are recorded in every checkpoint. `resumed` is the checkpoint to go on from;
    the learner need not have its state yet. `new_plan` says that the plan (`training/plan.py`) differs from the plan
    in that file. `clock` returns the seconds since the command began; `reserve` seconds of `minutes` are kept for the
    caller's work after training. `draw` makes the samples of the evaluations; None makes none.
    """

    def __init__(
        self,
        run: Run,
        learner: Learner,
        model: ModelConfig,
        vocab: Vocabulary,
        config: TrainConfig,
        corpus: CorpusRecord,
        text: TextConfig = DEFAULT_TEXT,
        resumed: Checkpoint | None = None,
        new_plan: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        reserve: float = 0.0,
        processes: Processes = ALONE,
        draw: Draw | None = None,
    ):
        self.run, self.learner, self.processes = run, learner, processes
        self.model, self.vocab, self.config, self.text = model, vocab, config, text
        self.new_plan = new_plan
        self.clock, self.reserve, self.draw = clock, reserve, draw
        self.unsaved = False
        self.history: list[dict[str, Any]] = []
        total = planned_total(config, learner.steps_per_epoch)
        self.progress = Progress(
            corpus, learner.shards, learner.backend, learner.device, total=total, engine=learner.engine
        )
        self.seconds_before = -self.clock()
        # The other processes never write their lines.
        run.log.waits = not processes.is_first
        if resumed:
            self._restore(resumed)
            if processes.is_first:
                run.log.resume(self.progress.metrics)
            self.seconds_before += self.progress.seconds
        # The last good state, to which training returns when it diverges.
        self.good = self._snapshot()

    @property
    def step(self) -> int:
        return self.progress.step

    @property
    def epoch(self) -> float:
        return self.step / self.learner.steps_per_epoch

    def _rate(self, step: int) -> float:
        rate = rate_at(self.config, self.progress, step, self.learner.steps_per_epoch)
        return self.progress.stability.rate_scale * rate

    def _log(self, val_nats: float | None, sample: str | None = None, **more: Any) -> dict[str, Any]:
        """Write a line of the log; return its record without the sample, which is too long for every checkpoint."""
        steps = self.progress.loss_steps
        record = {
            "step": self.step,
            "epoch": round(self.epoch, 4),
            "train_nats": self.progress.loss_sum / steps if steps else None,
            "val_nats": val_nats,
            "learning_rate": self._rate(max(0, self.step - 1)),
            "seconds": round(self.seconds_before + self.clock(), 3),
            **more,
        }
        self.run.log.append(record if sample is None else {**record, "sample": sample})
        self._note(loss_sum=0.0, loss_steps=0)
        return record

    def _record_plan(self) -> None:
        """Write a new plan to disk with the state that it begins with; called after the first step."""
        self.new_plan = False
        if self.processes.is_first:
            # If the disk refuses, the next save says so.
            with suppress(NotWritten):
                self.run.save(self.good, self.step, False, self.config.keep)

    def save(self, best: bool = False) -> None:
        """Write a checkpoint from which training can go on exactly, or raise NotWritten."""
        self.good = self._snapshot()
        self.unsaved = True
        if self.processes.is_first:
            self.run.save(self.good, self.step, best, self.config.keep)
        self.unsaved = False

    def _snapshot(self) -> Checkpoint:
        """Return the state of training; Diverged if any of it is not finite."""
        self._note(seconds=self.seconds_before + self.clock(), metrics=self.run.log.position())
        state = self.learner.state()
        if not all(np.isfinite(array).all() for part in state for array in part.values()):
            raise Diverged("some weights became numbers that are not finite", self.step)
        return Checkpoint(
            self.model,
            self.vocab,
            state.weights,
            self.config,
            self.progress,
            self.history,
            state.slots,
            state.hidden,
            self.text,
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Return to the state of a checkpoint, but keep the log and the present text, shards, backend and engine."""
        assert checkpoint.progress is not None
        here = {name: getattr(self.progress, name) for name in ("corpus", "shards", "backend", "device", "engine")}
        self.learner.restore(State(checkpoint.weights, checkpoint.slots, checkpoint.state))
        self.progress = replace(checkpoint.progress, **here)
        self.history = list(checkpoint.history)

    def _note(self, **changes: Any) -> None:
        """Change values of the run's progress."""
        self.progress = replace(self.progress, **changes)
