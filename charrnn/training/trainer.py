"""The training loop: cadence, budget, patience, saves and rollbacks. It knows no terminal, and no Keras either."""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.checkpoint import Checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import budget, divergence
from charrnn.training.backends.jax.distributed import ALONE, Processes
from charrnn.training.divergence import Diverged
from charrnn.training.events import Began, BudgetFixed, Ended, Evaluated, Event, RolledBack, Saved, SaveFailed, Stepped
from charrnn.training.learner_protocol import Learner, State
from charrnn.training.plan import planned_total, rate_at

# A corpus of a few windows ends an epoch at every other step; evaluations keep at least this distance.
STEPS_BETWEEN_EVALUATIONS = 100
LOG_EVERY = 50
HISTORY = 1000


class Trainer:
    """Lets a learner train, as `events()` tells, and keeps the run on disk.

    model, vocab, config, text and corpus are what a checkpoint says of its model, and of the text and how it was read.
    `resumed` is the checkpoint to go on from, at which the learner need not be yet; `new_plan` if its plan
    (`training/plan.py`) is another than the file's. `clock` returns the seconds since
    the command began; `reserve` seconds of `minutes` are left for what the caller does at the end.

    Set `interrupted` (from a signal handler, say) to stop at the end of the step, saved; `save_wanted` to save there
    and go on; with several `processes`, the first of which writes the run, in one of them is enough.
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
    ):
        self.run, self.learner, self.processes = run, learner, processes
        self.model, self.vocab, self.config, self.text = model, vocab, config, text
        self.new_plan = new_plan
        self.clock, self.reserve = clock, reserve
        self.interrupted = self.save_wanted = False
        self._agreed = [False, False]
        self.unsaved = False
        self.counted = budget.counted_total(config, learner.steps_per_epoch)
        self.history: list[dict[str, Any]] = []
        total = planned_total(config, learner.steps_per_epoch)
        self.progress = Progress(corpus, learner.shards, learner.backend, learner.device, total=total)
        self.seconds_before = -self.clock()
        # The lines of the others wait for ever.
        run.log.waits = not processes.is_first
        if resumed:
            self._restore(resumed)
            if processes.is_first:
                run.log.resume(self.progress.metrics)
            self.seconds_before += self.progress.seconds
        # The last good state, to which training returns when it goes wrong.
        self.good = self._snapshot()

    @property
    def step(self) -> int:
        return self.progress.step

    @property
    def epoch(self) -> float:
        return self.step / self.learner.steps_per_epoch

    def events(self) -> Iterator[Event]:
        """Train to the end of the budget; the run is saved at every evaluation and at the end.

        Raises CharRNNError when training goes wrong again and again, and NotWritten when the last save fails.
        """
        yield Began(
            self.run.path,
            self.model,
            self.config,
            self.vocab.size,
            self.step,
            self.progress.total,
            self.progress.best_nats,
            self.learner.steps_per_epoch,
        )
        reason = None
        while reason is None:
            try:
                if self.progress.total is None:
                    yield from self._measure()
                reason = yield from self._train()
                if reason == "interrupted" or self.processes.first(self.unsaved):
                    self._save_for_good()
            except Diverged as failure:
                reason = None
                yield from self._roll_back(failure)
        yield Ended(reason, self.step)

    def _train(self) -> Generator[Event, None, str]:
        """Take steps, and do what is due after each; return the reason to end."""
        total, patience = self.progress.total, self.config.patience
        # The measuring of the speed may have ended where an evaluation is due.
        due = self.step > self.progress.evaluated_step and self._evaluation_is_due()
        if due and (self.step == total or not self._wanted()[0]):
            yield from self._evaluate()
        while total is None or self.step < total:
            # A run that ended so and is resumed without a change has ended.
            if patience is not None and self.progress.evaluations_since_best >= patience:
                return "patience"
            # An interruption that comes with the last step has nothing left to interrupt.
            if self._wanted()[0]:
                return "interrupted"
            yield self._one_step()
            self._agree()
            if self._evaluation_is_due():
                yield from self._evaluate()
                continue
            if self.step % LOG_EVERY == 0:
                self._log(None)
            if self._wanted()[1] or (self.config.save_every and self.step % self.config.save_every == 0):
                yield from self._save_or_go_on()
        return "budget"

    def _measure(self) -> Iterator[Event]:
        """Take steps until the speed is known, then fix and record the number of steps that the time allows."""
        assert self.config.minutes is not None
        budget_seconds = 60 * self.config.minutes
        measure = min(budget.MEASURE * budget_seconds, budget.MEASURE_AT_MOST)
        last = math.inf if self.counted is None else self.counted
        # The first step compiles and the second warms up: the clock starts after them.
        compiling = 2
        began, began_step = self.clock(), self.step
        while self.step < last and (self.step < began_step + 3 or self.processes.first(self.clock() - began < measure)):
            yield self._one_step()
            self._agree()
            if self._wanted()[0] and self.step < last:
                return
            if compiling:
                compiling -= 1
                began, began_step = self.clock(), self.step
        if self.step == began_step:
            self._note(total=self.step)
            return
        per_step = (self.clock() - began) / (self.step - began_step)
        per_evaluation = 0.0
        # The first estimate compiles: only the second tells what the next will cost.
        if self.learner.estimate() is not None:
            began = self.clock()
            self.learner.estimate()
            per_evaluation = self.clock() - began
        began = self.clock()
        yield from self._save_or_go_on()
        per_evaluation += self.clock() - began
        left = budget_seconds - self.reserve - self.clock()
        fits = budget.measured_total(self.step, left, per_step, per_evaluation, self._evaluation_distance())
        total = self.processes.first(int(min(fits, last)))
        self._note(total=total)
        yield from self._save_or_go_on()
        yield BudgetFixed(total, self.config.batch * self.config.seq / per_step)

    def _agree(self) -> None:
        """Learn whether any process is to stop, or to save: all do so at the same step."""
        if self.processes.count > 1:
            self._agreed = self.processes.any(self.interrupted, self.save_wanted)

    def _wanted(self) -> list[bool]:
        """Return whether training is to stop, and whether it is to save."""
        return self._agreed if self.processes.count > 1 else [self.interrupted, self.save_wanted]

    def _evaluation_distance(self) -> int:
        """Return about how many steps lie between evaluations."""
        epoch = self.learner.steps_per_epoch
        by_epoch = -(-STEPS_BETWEEN_EVALUATIONS // epoch) * epoch
        return min(by_epoch, self.config.eval_every or by_epoch)

    def _evaluation_is_due(self) -> bool:
        step, every = self.step, self.config.eval_every
        if step == self.progress.total or (every and step % every == 0):
            return True
        distance = step - self.progress.evaluated_step
        return step % self.learner.steps_per_epoch == 0 and distance >= STEPS_BETWEEN_EVALUATIONS

    def _one_step(self) -> Stepped:
        step, now = self.step, self.progress
        rate = self._rate(step)
        nats, counted = self.learner.step(step, rate)
        if self.new_plan:
            self._record_plan()
        # The 0 of a window in which nothing counts is no loss: neither the log nor the guard is to know of it.
        share = self._share(counted)
        counts = share > 0 or not math.isfinite(nats)
        if counts:
            stability = divergence.watch(now.stability, step + 1, nats, share)
            self._note(stability=stability, loss_sum=now.loss_sum + nats, loss_steps=now.loss_steps + 1)
        self._note(step=step + 1)
        return Stepped(step + 1, now.total, self.epoch, nats if counts else None, rate)

    def _record_plan(self) -> None:
        """Put a new plan on disk with the state that it began with; it waits for the first step, which needs it."""
        self.new_plan = False
        if self.processes.is_first:
            # The next save tells of a disk that takes nothing.
            with suppress(NotWritten):
                self.run.save(self.good, self.step, False, self.config.keep)

    def _share(self, counted: int | None) -> float:
        """Return the share of the targets of a step, those of all processes, that counts in its loss."""
        if counted is None:
            return 1.0
        return sum(own for (own,) in self.processes.all([counted])) / (self.config.batch * self.config.seq)

    def _rate(self, step: int) -> float:
        rate = rate_at(self.config, self.progress, step, self.learner.steps_per_epoch)
        return self.progress.stability.rate_scale * rate

    def _evaluate(self) -> Iterator[Event]:
        val_nats, now = self.learner.estimate(), self.progress
        if val_nats is not None and not math.isfinite(val_nats):
            raise Diverged(f"the validation loss became {val_nats}", self.step)
        best = val_nats is None or now.best_nats is None or val_nats < now.best_nats
        self._note(evaluated_step=self.step, evaluations_since_best=0 if best else now.evaluations_since_best + 1)
        if best:
            self._note(best_nats=val_nats, best_step=self.step, stability=replace(now.stability, rollbacks=0))
        record = self._log(val_nats)
        self.history = [*self.history, record][-HISTORY:]
        saved = list(self._save_or_go_on(best))
        yield Evaluated(self.step, self.epoch, record["train_nats"], val_nats, best, self.good.weights)
        yield from saved

    def _log(self, val_nats: float | None, **more: Any) -> dict[str, Any]:
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
        self.run.log.append(record)
        self._note(loss_sum=0.0, loss_steps=0)
        return record

    def _roll_back(self, failure: Diverged) -> Iterator[Event]:
        """Return to the last good state and lower the rate; both are on disk before another step is taken."""
        self._restore(self.good)
        # Those of the last good state: what went wrong may have been an evaluation that had counted a gain.
        stability = self.progress.stability
        tries, scale = stability.rollbacks + 1, divergence.LOWER * stability.rate_scale
        if tries > divergence.TRIES:
            newest = self.run.newest()
            raise CharRNNError(
                f"Training went wrong {tries} times in a row, at ever lower learning rates: {failure}.",
                hint=f"Train anew with a lower `lr` (it was {self.config.rate:.2g}) or `clip_norm`"
                + (f"; {newest} is the last good checkpoint." if newest else "."),
            )
        self.run.log.rewind(self.progress.metrics)
        guard = replace(stability, rollbacks=tries, rate_scale=scale, forgiven_step=failure.step)
        self._note(stability=guard)
        self._log(None, train_nats=None, rollback=str(failure))
        if self.step:
            saved = list(self._save_or_go_on())
        else:
            # Before any training there is nothing worth a file: a new start would come to the same.
            self.good, saved = self._snapshot(), []
        yield RolledBack(self.step, str(failure), scale)
        yield from saved

    def _save_or_go_on(self, best: bool = False) -> Iterator[Event]:
        """Save; a disk that does not take it is no reason to lose what is in memory."""
        asked = self._wanted()[1]
        if asked:
            self.save_wanted = self._agreed[1] = False
        try:
            self.save(best)
        except NotWritten as error:
            yield SaveFailed(self.step, error)
        else:
            if asked:
                yield Saved(self.step)

    def _save_for_good(self) -> None:
        """Save at the very end; NotWritten in every process if the first could not."""
        error = None
        try:
            self.save()
        except NotWritten as failure:
            error = failure
        # The others wait here until it is written.
        if said := self.processes.first(error and error.message):
            raise error or NotWritten(said)

    def save(self, best: bool = False) -> None:
        """Write a checkpoint from which training goes on exactly as it would have, or raise NotWritten."""
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
        """Go back to where a checkpoint was taken, but for the log; what computes it may be other than then."""
        assert checkpoint.progress is not None
        here = {name: getattr(self.progress, name) for name in ("corpus", "shards", "backend", "device")}
        self.learner.restore(State(checkpoint.weights, checkpoint.slots, checkpoint.state))
        self.progress = replace(checkpoint.progress, **here)
        self.history = list(checkpoint.history)

    def _note(self, **changes: Any) -> None:
        """Change what is known of the run's progress."""
        self.progress = replace(self.progress, **changes)
