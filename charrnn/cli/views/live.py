"""The view of a training run on stderr: live on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import as_options, notify, printable, say

if TYPE_CHECKING:
    from charrnn.api.events import Began, Evaluated, Event, Stepped
    from charrnn.api.session import Training

SAMPLE = 200
TEMPERATURE = 0.7
# Plain lines come this often, in seconds, between evaluations.
LINE_EVERY = 30.0


class View:
    """Shows the events of a training run; a context manager, so that the terminal is always put right again."""

    def __init__(self, training: "Training", quiet: bool):
        self.training, self.quiet = training, quiet
        self.bar: Any = None
        self.began: Began | None = None
        self.train_nats: float | None = None
        self.val_nats: float | None = None
        self.last_line = time.perf_counter()
        self.speed = _Speed()

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop_bar()

    def show(self, event: "Event") -> None:
        """Draw one event."""
        from charrnn.api import events
        from charrnn.cli.views import report

        match event:
            case events.Noticed(message, is_advice):
                if not (is_advice and self.quiet):
                    notify(message)
            case events.Loading(backend, others):
                waiting = f", and waiting for {others} other process{'' if others == 1 else 'es'}" if others else ""
                if not self.quiet:
                    say(f"Loading {backend}{waiting} …")
            case events.Began():
                self._begin(event)
            case events.Stepped():
                self._stepped(event)
            case events.Evaluated():
                self.val_nats = event.val_nats
                self._evaluated(event)
                self.speed.restart()
            case events.BudgetFixed(total, characters_per_second):
                assert self.began is not None
                self._say(
                    f"{characters_per_second:,.0f} characters/s: {total:,} steps fit the time, "
                    f"{total / self.began.steps_per_epoch:.2g} passes over the text."
                )
                self.speed.restart()
            case events.Saved(step):
                self._say(f"Saved after step {step:,}.")
            case events.SaveFailed(step, error):
                self._warn(f"Not saved after step {step:,}: {as_options(error.message)} Training goes on in memory.")
            case events.RolledBack(step, why, rate_scale):
                self.train_nats = None
                self.speed.restart()
                self._warn(
                    f"Training went wrong: {why}. Back at step {step:,}, from now on with "
                    f"{rate_scale:g} times the learning rate."
                )
            case events.Ended():
                self._stop_bar()
                report.ended(self.training, event)
            case events.Measured():
                report.measured(event)

    def _begin(self, event: "Began") -> None:
        """Say what is trained on what."""
        from charrnn.network.parameters import parameter_count

        self.began, self.val_nats = event, event.best_nats
        if self.quiet:
            return
        assert self.training.job is not None
        corpus, parts = self.training.job.data.corpus, self.training.job.data.parts
        test = f", {sum(map(len, parts.test)):,} to test" if parts.test else ""
        width = "one-hot input" if event.model.embedding is None else f"embedding {event.model.embedding}"
        say(
            f"{len(corpus):,} characters, {event.vocab_size:,} different; "
            f"{len(parts.train):,} to train on, {sum(map(len, parts.val)):,} to validate{test}."
        )
        settings, name = event.training, event.path.resolve().name
        parameters = parameter_count(event.model, event.vocab_size)
        say(
            f"{event.model.title}, {width}, {parameters:,} parameters; batch {settings.batch}, "
            f"seq {settings.seq}, dropout {settings.dropout:g}, {settings.optimizer}. Run: {printable(name)}"
        )
        if sys.stderr.isatty():
            self._start_bar()

    def _stepped(self, event: "Stepped") -> None:
        self.speed.add(event.step * self._characters)
        nats = event.nats
        if nats is not None:
            self.train_nats = nats if self.train_nats is None else 0.98 * self.train_nats + 0.02 * nats
        self._progress(event)

    @property
    def _characters(self) -> int:
        """Return how many characters a step reads."""
        assert self.began is not None
        return self.began.training.batch * self.began.training.seq

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self.task = self.bar.add_task("", total=self.began and self.began.total, facts="compiling")
        self.bar.start()

    def _progress(self, event: "Stepped") -> None:
        if self.quiet:
            return
        facts = self._facts(event)
        if self._on_bar(lambda bar: bar.update(self.task, completed=event.step, total=event.total, facts=facts)):
            return
        if time.perf_counter() - self.last_line > LINE_EVERY:
            of = f"/{event.total:,}" if event.total else ""
            eta = ""
            if event.total and self.speed.rate:
                left = (event.total - event.step) * self._characters / self.speed.rate
                eta = f", {math.ceil(left / 60)} min left"
            self._say(f"step {event.step:,}{of}, {facts}{eta}")

    def _facts(self, event: "Stepped") -> str:
        facts = [f"epoch {event.epoch:.2f}"]
        if self.speed.rate:
            facts.append(f"{self.speed.rate:,.0f} chars/s")
        if self.train_nats is not None:
            facts.append(f"train {self.train_nats / math.log(2):.3f}")
        if self.val_nats is not None:
            facts.append(f"val {self.val_nats / math.log(2):.3f} bits/char")
        facts.append(f"lr {event.learning_rate:.1e}")
        return ", ".join(facts)

    def _evaluated(self, event: "Evaluated") -> None:
        val = "" if event.val_nats is None else f", validation {event.val_nats / math.log(2):.4f}"
        train = "-" if event.train_nats is None else f"{event.train_nats / math.log(2):.4f}"
        self._say(
            f"epoch {event.epoch:.2f}, step {event.step:,}: train {train}{val} "
            f"bits per character{' (best so far)' if event.best and event.val_nats is not None else ''}"
        )
        if not self.quiet:
            sample = self.training.model(event).sample(SAMPLE, temperature=TEMPERATURE, seed=event.step)
            for line in sample.splitlines():
                self._say("  | " + printable(line))

    def _warn(self, line: str) -> None:
        """Print what even --quiet does not silence."""
        if self.quiet:
            say(line)
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        if self.quiet:
            return
        self.last_line = time.perf_counter()
        if not self._on_bar(lambda bar: bar.console.print(line, markup=False, highlight=False, soft_wrap=True)):
            say(line)

    def _stop_bar(self) -> None:
        self._on_bar(lambda bar: bar.stop())
        self.bar = None

    def _on_bar(self, action: Callable[[Any], None]) -> bool:
        """Do something with the bar; return whether there is one. A terminal that has gone is no reason to stop."""
        if self.bar is not None:
            try:
                action(self.bar)
            except OSError:
                self.bar = None
        return self.bar is not None


class _Speed:
    """Characters a second over the last steps; restarted after what is no training."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self.restart()

    def restart(self) -> None:
        self.since: tuple[float, int] | None = None

    def add(self, characters: int) -> None:
        now = time.perf_counter()
        if self.since is None:
            self.since = (now, characters)
        elif now - self.since[0] > 1.0:
            self.rate = (characters - self.since[1]) / (now - self.since[0])
            if now - self.since[0] > 10.0:
                self.since = (now, characters)
