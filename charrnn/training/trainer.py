"""The training loop: cadence, budget, patience, saves and rollbacks. It uses neither a terminal nor Keras."""

import math
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np

from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.progress import Progress
from charrnn.training import divergence
from charrnn.training.budget import counted_total
from charrnn.training.divergence import Diverged
from charrnn.training.events import (
    Began,
    BudgetFixed,
    Ended,
    Evaluated,
    Event,
    FolderMade,
    RolledBack,
    Saved,
    SaveFailed,
    Stepped,
)
from charrnn.training.keeper import Keeper
from charrnn.training.learner_protocol import Estimate
from charrnn.training.pace import Pace
from charrnn.training.plan import with_total

# A very short text has epochs of a few steps; evaluations are at least this many steps apart.
STEPS_BETWEEN_EVALUATIONS = 100
# A run of some minutes is evaluated about so often or more, however long its epochs are and however few its steps.
EVALUATIONS_IN_ITS_TIME = 8
LOG_EVERY = 50
HISTORY = 1000
# The first step compiles and the second warms up: only later steps show the speed.
COMPILING = 2
# How many steps may be under way: a GPU computes one while the processor prepares the next.
UNDER_WAY = {"cpu": 0, "gpu": 1}


class Trainer(Keeper):
    """Trains a learner and yields what happens from `events()`; it is made with the arguments of a Keeper.

    Set `interrupted` (for example, from a signal handler) to save and stop at the end of the step, or `save_wanted` to
    save there and go on. With several `processes`, setting it in one of them is enough; the first one writes the run.
    """

    def __init__(self, *run: Any, **settings: Any):
        super().__init__(*run, **settings)
        self.interrupted = self.save_wanted = False
        self._agreed = [False, False, False]
        counted = counted_total(self.config, self.learner.steps_per_epoch)
        self.most = math.inf if counted is None else counted
        # With `minutes`: the speed of training, and the step at which to check again whether the steps fit the time.
        self.pace: Pace | None = None
        self.look = 0
        # The steps whose losses were not read yet: their numbers, losses, and how many targets counted.
        self.unread: list[tuple[int, SupportsFloat, int | None]] = []
        # The newest loss that was read and that no event has told yet.
        self.untold: float | None = None

    def events(self) -> Iterator[Event]:
        """Train to the end of the budget; the run is saved at every evaluation and at the end.

        Raises CharRNNError when training diverges again and again, and NotWritten when the last save fails.
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
            self.progress.best_accuracy,
        )
        reason = None
        while reason is None:
            try:
                if self.progress.total is None:
                    yield from self._measure()
                reason = yield from self._train()
                if reason == "interrupted" or self.processes.first(self.unsaved):
                    self._save_for_good()
                    yield from self._told_of_the_folder()
            except Diverged as failure:
                reason = None
                yield from self._roll_back(failure)
        yield Ended(reason, self.step)

    def _train(self) -> Generator[Event, None, str]:
        """Take steps, with the evaluations and saves that are due after each; return the reason to end."""
        patience = self.config.patience
        # The measurement of the speed may have ended at a step where an evaluation is due.
        due = self.step > self.progress.evaluated_step and self._evaluation_is_due()
        if due and (self.step == self.progress.total or not self._wanted()[0]):
            yield from self._evaluate()
            if self.pace:
                self.pace.evaluated()
        while self.progress.total is None or self.step < self.progress.total:
            # A run that ended by patience and is resumed without a change ends again at once.
            if patience is not None and self.progress.evaluations_since_best >= patience:
                return "patience"
            # An interruption during the last step has nothing left to interrupt.
            if self._wanted()[0]:
                return "interrupted"
            yield self._one_step()
            self._agree()
            if self._wanted()[2]:
                self._note(total=self.step)
            if self._evaluation_is_due():
                yield from self._evaluate()
                if self.pace:
                    self.pace.evaluated()
                yield from self._revise()
                continue
            if self.step % LOG_EVERY == 0:
                self._read_losses()
                self._log(None)
            if self._wanted()[1] or (self.config.save_every and self.step % self.config.save_every == 0):
                yield from self._save_or_go_on()
            if self.pace and self.step >= self.look:
                yield from self._revise()
        return "budget"

    def _measure(self) -> Iterator[Event]:
        """Take steps until the speed is known, then fix and record the number of steps that the time allows."""
        assert self.config.minutes is not None
        first = self.step
        self.pace = pace = Pace(self.clock, 60 * self.config.minutes, self.reserve, first)
        while self.step < self.most and (
            self.step < first + COMPILING + 3 or not self.processes.first(pace.is_measured)
        ):
            yield self._one_step()
            self._agree()
            if self._wanted()[0] and self.step < self.most:
                return
            if self.step <= first + COMPILING:
                pace.restart()
        self._read_losses()
        if not pace.steps:
            self._note(total=self.step)
            return
        # The first estimate compiles: only the second shows the cost of later ones.
        if self.learner.estimate() is not None:
            pace.skip()
            self.learner.estimate()
        self._sample(None)
        yield from self._save_or_go_on()
        pace.evaluated()
        total = self.most
        # The number of steps says how far evaluations are apart, and their time says how many steps fit.
        for _ in range(2):
            total = int(min(pace.fitting(self.step, self._evaluation_distance(total)), self.most))
        total = self.processes.first(total)
        yield from self._fix(replace(self.progress, total=total))

    def _revise(self) -> Iterator[Event]:
        """Change the number of steps if clearly more or fewer fit the time that is left."""
        total = self.progress.total
        if self.pace is None or total is None or self.step >= total:
            return
        self.look = self.pace.next_look(self.step, total)
        revised = self.pace.revised(self.step, total, self._evaluation_distance(total), self.most)
        if (revised := self.processes.first(revised)) != total:
            yield from self._fix(with_total(self.progress, self.config, revised, self.learner.steps_per_epoch))

    def _fix(self, planned: Progress) -> Iterator[Event]:
        """Go on with another number of steps; it is on disk before it takes effect."""
        pace, before, self.progress = self.pace, self.progress.total, planned
        assert pace is not None and planned.total is not None
        self.look = pace.next_look(self.step, planned.total)
        yield from self._save_or_go_on()
        yield BudgetFixed(planned.total, self.config.batch * self.config.seq / pace.per_step, before)
        pace.restart()

    def _agree(self) -> None:
        """Find out whether any process must stop or save, or the first has no time left; all act at the same step."""
        if self.processes.count > 1:
            is_late = self.processes.is_first and self._is_late()
            self._agreed = self.processes.any(self.interrupted, self.save_wanted, is_late)

    def _wanted(self) -> list[bool]:
        """Return whether training must stop, whether it must save, and whether its time is over."""
        return self._agreed if self.processes.count > 1 else [self.interrupted, self.save_wanted, self._is_late()]

    def _is_late(self) -> bool:
        return self.pace is not None and self.progress.total is not None and self.pace.is_late

    def _evaluation_distance(self, total: float) -> int:
        """Return the approximate number of steps between evaluations in a run of so many steps."""
        by_epoch = self._distance_by_epoch()
        return self._part_of_time(total) or min(by_epoch, self.config.eval_every or by_epoch)

    def _distance_by_epoch(self) -> int:
        epoch = self.learner.steps_per_epoch
        return -(-STEPS_BETWEEN_EVALUATIONS // epoch) * epoch

    def _part_of_time(self, total: float | None) -> int | None:
        """Return how many steps evaluations are apart in a run of `minutes`, if epochs would be too far apart."""
        if self.config.minutes is None or self.config.eval_every is not None or total is None or math.isinf(total):
            return None
        part = math.ceil(total / EVALUATIONS_IN_ITS_TIME)
        return part if part < self._distance_by_epoch() else None

    def _evaluation_is_due(self) -> bool:
        step, every, total = self.step, self.config.eval_every, self.progress.total
        if step == total or (every and step % every == 0):
            return True
        distance = step - self.progress.evaluated_step
        if part := self._part_of_time(total):
            return distance >= part
        return step % self.learner.steps_per_epoch == 0 and distance >= STEPS_BETWEEN_EVALUATIONS

    def _one_step(self) -> Stepped:
        """Take a step; the loss of the event is the newest that was read."""
        step, total = self.step, self.progress.total
        rate = self._rate(step)
        self.unread.append((step, *self.learner.step(step, rate)))
        if self.new_plan:
            self._record_plan()
        self._note(step=step + 1)
        self._read_losses(UNDER_WAY[self.learner.device])
        nats, self.untold = self.untold, None
        return Stepped(step + 1, total, self.epoch, nats, rate)

    def _read_losses(self, left: int = 0) -> None:
        """Read the losses of all steps but the last `left`, awaiting them.

        Raises Diverged. To be called before anything that depends on the losses: a log, a save, an evaluation.
        """
        while len(self.unread) > left:
            step, loss, counted = self.unread.pop(0)
            nats, share, now = float(loss), self._share(counted), self.progress
            # A window in which no character counts has the loss 0, which is not a real loss: log and guard ignore it.
            if share > 0 or not math.isfinite(nats):
                starts = step % self.learner.steps_per_epoch == 0
                stability = divergence.watch(now.stability, step + 1, nats, share, starts)
                self._note(stability=stability, loss_sum=now.loss_sum + nats, loss_steps=now.loss_steps + 1)
                self.untold = nats
            if self.pace:
                self.pace.stepped()

    def _share(self, counted: int | None) -> float:
        """Return the fraction of a step's targets, over all processes, that counts in its loss."""
        if counted is None:
            return 1.0
        return sum(own for (own,) in self.processes.all([counted])) / (self.config.batch * self.config.seq)

    def _evaluate(self) -> Iterator[Event]:
        self._read_losses()
        found, now = self.learner.estimate(), self.progress
        val_nats, accuracy = (None, None) if found is None else found
        if val_nats is not None and not math.isfinite(val_nats):
            raise Diverged(f"the validation loss became {val_nats}", self.step)
        before = None if now.best_nats is None else Estimate(now.best_nats, now.best_accuracy)
        best = found is None or before is None or found.measure < before.measure
        self._note(evaluated_step=self.step, evaluations_since_best=0 if best else now.evaluations_since_best + 1)
        if best:
            stability = replace(now.stability, rollbacks=0)
            self._note(best_nats=val_nats, best_accuracy=accuracy, best_step=self.step, stability=stability)
        sample = self._sample(val_nats)
        record = self._log(val_nats, sample, **({} if accuracy is None else {"val_accuracy": accuracy}))
        self.history = [*self.history, record][-HISTORY:]
        saved = list(self._save_or_go_on(best))
        yield Evaluated(
            self.step, self.epoch, record["train_nats"], val_nats, best, self.good.weights, accuracy, sample
        )
        yield from saved

    def _sample(self, val_nats: float | None) -> str | None:
        """Return a sample of the model in the process that writes the log; None if it cannot draw one."""
        if self.draw is None or not self.processes.is_first:
            return None
        # Whatever is wrong, training goes on: the guard finds weights that diverged.
        with suppress(Exception), np.errstate(all="ignore"):
            return self.draw(self.learner.read(), self.step, val_nats)
        return None

    def _roll_back(self, failure: Diverged) -> Iterator[Event]:
        """Return to the last good state and lower the rate; both are on disk before the next step."""
        self.unread.clear()
        self.untold = None
        self._restore(self.good)
        # The counters of the last good state: the failure may have come in an evaluation that improved them.
        stability = self.progress.stability
        tries, scale = stability.rollbacks + 1, divergence.LOWER * stability.rate_scale
        if tries > divergence.TRIES:
            newest = self.run.newest()
            raise CharRNNError(
                f"Training diverged {tries} times in a row, at lower and lower learning rates: {failure}.",
                hint=f"Train again with a lower `lr` (it was {self.config.rate:.2g}) or `clip_norm`"
                + (f"; {newest} is the last good checkpoint." if newest else "."),
            )
        self.run.log.rewind(self.progress.metrics)
        guard = replace(stability, rollbacks=tries, rate_scale=scale, forgiven_step=failure.step)
        self._note(stability=guard)
        self._log(None, train_nats=None, rollback=str(failure))
        if self.step:
            saved = list(self._save_or_go_on())
        else:
            # Before the first step no file is needed: a new start gives the same state.
            self.good, saved = self._snapshot(), []
        yield RolledBack(self.step, str(failure), scale)
        yield from saved

    def _save_or_go_on(self, best: bool = False) -> Iterator[Event]:
        """Save; if the disk refuses, training goes on with the state in memory."""
        self._read_losses()
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
        yield from self._told_of_the_folder()

    def _told_of_the_folder(self) -> Iterator[Event]:
        if self.run.moved is not None:
            yield FolderMade(self.run.moved)
            self.run.moved = None

    def _save_for_good(self) -> None:
        """Save at the very end; NotWritten in every process if the first could not write."""
        self._read_losses()
        error = None
        try:
            self.save()
        except NotWritten as failure:
            error = failure
        # The other processes wait here until it is written.
        if said := self.processes.first(error and error.message):
            raise error or NotWritten(said)
