"""The trials of a search, one at a time: each is an ordinary run in a process of its own, and goes on after a kill."""

import math
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from charrnn.api.apart import Died
from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Began, BudgetFixed, Ended, Evaluated, Measured, OfRun, Stepped
from charrnn.api.runs import run_of
from charrnn.api.search_space import space
from charrnn.api.study import COMPLETE, FAILED, PRUNED, Entry, Study, has_ended
from charrnn.api.trials import Series, training_left
from charrnn.api.tuned import (
    SearchBegan,
    SearchEnded,
    SearchEvent,
    TrialBegan,
    TrialEnded,
    result_of,
    run_path,
    trial_of,
    trial_settings,
)
from charrnn.atomic import replacing
from charrnn.config import RUNGS
from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs import folder
from charrnn.runs.lock import Lock
from charrnn.runs.search import JOURNAL, KEPT, SearchRecord, write
from charrnn.text.sources import STDIN

# A process that is killed is begun again, unless it has died this often without coming to its next evaluation.
DEATHS = 3
# If so many trials fail one after the other, something is wrong that other settings do not mend.
FAILURES = 5
# The last trial may be shorter than the others, by at most this fraction; else the rest of the time is not used.
SHORTEST = 0.5
# Seconds that a trial may need, beyond its length, to begin and end its process; and the report at the end.
BETWEEN, AT_THE_END = 1.0, 1.5


class _Changed(CharRNNError):
    """The text is another than that of the trials before."""


@dataclass
class _Found:
    """What the training of a trial has come to: losses at rungs, the exact loss, or why it failed."""

    rungs: dict[int, float]
    total: int | None = None
    is_pruned: bool = False
    is_over: bool = False
    nats: float | None = None
    unit: str | None = None
    why: str | None = None


class Trials:
    """The trials of a search in a folder.

    series: the search itself, which can be stopped. began: the time from which its minutes count.
    """

    def __init__(self, series: Series[SearchEvent], path: Path, record: SearchRecord, is_new: bool, began: float):
        self.series, self.path, self.record, self.began = series, path, record, began
        if is_new:
            series.hold(path)
            if STDIN in record.corpus:
                _keep_stdin(path)
            write(path, record)
        elif not has_ended(path / JOURNAL):
            # Before the journal is opened, which mends it.
            series.hold(path)
        self.study = Study(path / JOURNAL, space(record.settings, record.searched), record.seed)
        self.used = 0.0

    def events(self) -> Iterator[SearchEvent]:
        if not self.study.is_ended:
            yield from self._trials()
        yield SearchEnded(result_of(self.path, self.record, self.study))

    def _trials(self) -> Iterator[SearchEvent]:
        record = self.record
        self.used = sum(entry.facts.get("seconds") or 0.0 for entry in self.study.finished())
        running = self.study.running()
        if running is not None:
            self.used += _seconds(run_path(self.path, running.number))
        tried = tuple(trial_of(self.path, entry, self.study) for entry in self.study.finished())
        yield SearchBegan(self.path, tried, record, self.used)
        self._tidy()
        while not self.series.is_stopped:
            entry, running = running or self._next(), None
            if entry is None:
                self.study.end()
                return
            yield from self._trial(entry)
            self._check_failures()

    def _next(self) -> Entry | None:
        """Begin the next trial; None if there is none, or if none could end in the time that is left."""
        record = self.record
        if record.trials is not None:
            done = len(self.study.finished()) >= record.trials
            return None if done else self.study.begin(steps=record.steps)
        assert record.minutes is not None and record.trial_minutes is not None
        longest = 60 * record.trial_minutes
        left = 60 * record.minutes - self.used - (perf_counter() - self.began) - AT_THE_END - self._overrun()
        if left >= longest:
            return self.study.begin(minutes=record.trial_minutes)
        # In whole seconds, so that the command that repeats the trial is short.
        return self.study.begin(minutes=int(left) / 60) if left >= max(1, SHORTEST * longest) else None

    def _overrun(self) -> float:
        """Return how many seconds a trial may need beyond its length: as many as one before it did."""
        facts = [entry.facts for entry in self.study.finished() if entry.state == COMPLETE]
        return max([BETWEEN, *(one["seconds"] - 60 * one["minutes"] for one in facts)])

    def _trial(self, entry: Entry) -> Iterator[SearchEvent]:
        began, told = perf_counter(), trial_of(self.path, entry, self.study)
        self.series.is_stepping = True
        yield TrialBegan(told)
        before = _seconds(told.path)
        found = _Found({})
        self._check_text(entry)
        try:
            evaluations = _evaluations(told.path)
        except CharRNNError as error:
            evaluations, found.why = [], str(error)
        for step, nats, total in evaluations:
            found.total = total
            if not found.is_pruned:
                self._evaluated(entry, found, step, nats)
        if not found.is_pruned and found.why is None:
            for event in self._trained(entry, found):
                yield OfRun(told.name, event)
        newest = folder.Run(told.path).newest()
        facts: dict[str, Any] = {"seconds": before + perf_counter() - began, "newest": newest and newest.name}
        if text := self._text(entry):
            facts["text"] = text
        if found.is_pruned:
            self.study.finish(entry, PRUNED, **facts)
        elif found.nats is not None:
            self.study.finish(entry, COMPLETE, found.nats, unit=found.unit, **facts)
        elif found.why is not None:
            self.study.finish(entry, FAILED, why=found.why, **facts)
        else:
            # Stopped: it goes on when the search does.
            return
        # The process of a trial that was ended early had no time to remove its file.
        with suppress(CharRNNError):
            lock = Lock(told.path)
            lock.acquire()
            lock.release()
        self._tidy()
        ended = trial_of(self.path, self.study.entries()[entry.number], self.study)
        yield TrialEnded(ended, result_of(self.path, self.record, self.study).best)

    def _trained(self, entry: Entry, found: _Found) -> Iterator[Any]:
        """Train a trial to its end, or until it is ended early; a process that is killed is begun again."""
        deaths = 0
        while True:
            has_begun = False
            try:
                for event in self._events(entry, found):
                    if isinstance(event, Began):
                        has_begun = True
                    if isinstance(event, Evaluated):
                        deaths = 0
                    yield event
            except Died as error:
                deaths += 1
                if self.series.is_stopped:
                    return
                if deaths < DEATHS:
                    continue
                found.why = str(error)
            except (NotWritten, _Changed):
                raise
            except CharRNNError as error:
                if not has_begun and (entry.number == 0 or self._has_checkpoint(entry)):
                    # The text or what is shared by all trials cannot be used.
                    self._forget(entry)
                    raise
                found.why = str(error)
            return

    def _events(self, entry: Entry, found: _Found) -> Iterator[Any]:
        path = run_path(self.path, entry.number)
        corpus, settings = self.record.texts(self.path), self._settings(entry)
        training = training_left(path, corpus, settings, dict(self.record.place), self.series.held())
        if training is None:
            self._is_complete(found, path)
            return
        self.series.train(training)
        try:
            with training:
                for event in training:
                    if isinstance(event, Began | Stepped | BudgetFixed):
                        found.total = event.total or found.total
                    elif isinstance(event, Evaluated):
                        self._check_text(entry)
                        self._evaluated(entry, found, event.step, event.val_nats)
                    elif isinstance(event, Measured) and event.part == "validation":
                        self._take(found, event.evaluation)
                    elif isinstance(event, Ended):
                        found.is_over = event.reason != "interrupted"
                    yield event
                    if found.is_pruned:
                        return
        finally:
            self.series.train(None)
        if found.is_over and found.nats is None and found.why is None:
            self._is_complete(found, path)

    def _settings(self, entry: Entry) -> dict[str, Any]:
        differing = self.study.space.differing(entry.params)
        return {**self.record.shared(), **trial_settings(self.record, differing, entry.facts.get("minutes"))}

    def _is_complete(self, found: _Found, path: Path) -> None:
        """Take the exact loss from the record of a run."""
        self._take(found, run_of(folder.Run(path)).validation)

    @staticmethod
    def _take(found: _Found, evaluation: Evaluation | None) -> None:
        if evaluation is None or not math.isfinite(evaluation.nats_per_char):
            found.why = "It has no validation loss."
        else:
            found.nats, found.unit = evaluation.nats_per_char, evaluation.unit

    def _evaluated(self, entry: Entry, found: _Found, step: int, nats: float | None) -> None:
        """Decide at a rung whether a trial goes on; each rung counts once, at the first evaluation after it."""
        if nats is None or not found.total:
            return
        percent = max((one for one in RUNGS if 100 * step >= one * found.total), default=0)
        if not percent or percent in found.rungs or step >= found.total:
            return
        found.rungs[percent] = nats
        self.study.report(entry, percent, nats)
        found.is_pruned = self.study.is_pruned(entry, found.rungs)

    def _text(self, entry: Entry) -> list[str | None] | None:
        """Return the SHA-256 of the texts that a trial has been trained and validated on; None without a checkpoint."""
        run = run_of(folder.Run(run_path(self.path, entry.number)))
        return None if run.sha256 is None else [run.sha256, run.val_sha256]

    def _check_text(self, entry: Entry) -> None:
        """Raise CharRNNError if a trial has another text than those before it: then it is to begin again."""
        texts = [one.facts["text"] for one in self.study.finished() if "text" in one.facts]
        text = self._text(entry)
        if texts and text and text != texts[0]:
            run = folder.Run(run_path(self.path, entry.number))
            for file in (*run.checkpoints(), run.best):
                file.unlink(missing_ok=True)
            raise _Changed(
                f"The text of the search {self.path} has changed since it began.",
                "Put the old text back, and go on with `resume`; or search again under another `name`.",
            )

    def _has_checkpoint(self, entry: Entry) -> bool:
        return folder.Run(run_path(self.path, entry.number)).newest() is not None

    def _forget(self, entry: Entry) -> None:
        """Remove what a new search wrote of its first trial, which could not begin."""
        if entry.number == 0 and not self._has_checkpoint(entry):
            folder.Run(run_path(self.path, 0)).clear()

    def _check_failures(self) -> None:
        last = self.study.finished()[-FAILURES:]
        if len(last) == FAILURES and all(entry.state == FAILED for entry in last):
            raise CharRNNError(
                f"The last {FAILURES} trials failed; the last one: {last[-1].facts.get('why')}",
                "Mend that, and go on with `resume`.",
            )

    def _tidy(self) -> None:
        """Remove the weights of all trials that have ended but the best; their logs stay.

        Not those of a run that is, or was, trained further than the search did.
        """
        if self.record.keep_all:
            return
        finished = self.study.finished()
        best = min((one for one in finished if one.nats is not None), key=lambda one: one.nats or 0, default=None)
        for entry in finished:
            if best is None or entry.number != best.number:
                run = folder.Run(run_path(self.path, entry.number))
                newest = run.newest()
                if newest is None and not run.best.is_file():
                    continue
                with suppress(CharRNNError):
                    run.lock.acquire()
                    try:
                        if newest == run.newest() and (newest.name if newest else None) == entry.facts.get("newest"):
                            for file in (*run.checkpoints(), run.best):
                                with suppress(OSError):
                                    file.unlink(missing_ok=True)
                    finally:
                        run.lock.release()


def _evaluations(path: Path) -> list[tuple[int, float | None, int | None]]:
    """Return the evaluations that the newest checkpoint of a run records: steps, losses, and the run's last step.

    Not those of its log: what the log has beyond the checkpoint is trained again.
    """
    run = folder.Run(path)
    if not run.newest() and not run.best.is_file():
        return []
    checkpoint, _, _ = run.load_newest()
    total = None if checkpoint.progress is None else checkpoint.progress.total
    return [(one["step"], one["val_nats"], total) for one in checkpoint.history if one.get("val_nats") is not None]


def _seconds(path: Path) -> float:
    """Return how long a run has been trained, as its log says."""
    if not path.is_dir():
        return 0.0
    try:
        history = run_of(folder.Run(path)).history()
    except CharRNNError:
        return 0.0
    return float(history[-1].get("seconds") or 0.0) if history else 0.0


def _keep_stdin(path: Path) -> None:
    """Keep the text of stdin, because each trial reads it."""
    with replacing(path / KEPT) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
