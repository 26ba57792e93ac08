"""The view of a training run on stderr: live on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say

if TYPE_CHECKING:
    from charrnn.data.corpus import Dataset
    from charrnn.training.events import Evaluated, Event, Stepped
    from charrnn.training.trainer import Trainer

SAMPLE = 200
TEMPERATURE = 0.7
# Plain lines come this often, in seconds, between evaluations.
LINE_EVERY = 30.0


class View:
    """Shows the events of a training run; a context manager, so that the terminal is always put right again."""

    def __init__(self, trainer: "Trainer", data: "Dataset", quiet: bool):
        self.trainer = trainer
        self.quiet = quiet
        self.bar: Any = None
        self.train_nats: float | None = None
        self.last_line = time.perf_counter()
        self.characters = trainer.config.batch * trainer.config.seq
        self.speed = _Speed()
        self.val_nats: float | None = trainer.progress.best_nats
        self.data = data

    def __enter__(self) -> "View":
        if self.quiet:
            return self
        from charrnn.network.parameters import parameter_count

        t = self.trainer
        parts = self.data.parts
        test = f", {sum(map(len, parts.test)):,} to test" if parts.test else ""
        width = "one-hot input" if t.model.embedding is None else f"embedding {t.model.embedding}"
        say(
            f"{len(self.data.corpus):,} characters, {self.trainer.vocab.size:,} different; "
            f"{len(parts.train):,} to train on, {sum(map(len, parts.val)):,} to validate{test}."
        )
        say(
            f"{t.model.title}, {width}, "
            f"{parameter_count(t.model, self.trainer.vocab.size):,} parameters; batch {t.config.batch}, "
            f"seq {t.config.seq}, dropout {t.config.dropout:g}, {t.config.optimizer}. Run: {printable(t.run.name)}"
        )
        if sys.stderr.isatty():
            self._start_bar()
        return self

    def __exit__(self, *exception: object) -> None:
        self._on_bar(lambda bar: bar.stop())

    def show(self, event: "Event") -> None:
        """Draw one event."""
        from charrnn.training import events

        if isinstance(event, events.Stepped):
            self.speed.add(event.step * self.characters)
            nats = event.nats
            if nats is not None:
                self.train_nats = nats if self.train_nats is None else 0.98 * self.train_nats + 0.02 * nats
            self._progress(event)
        elif isinstance(event, events.Evaluated):
            self.val_nats = event.val_nats
            self._evaluated(event)
            self.speed.restart()
        elif isinstance(event, events.BudgetFixed):
            self._say(
                f"{event.characters_per_second:,.0f} characters/s: {event.total:,} steps fit the time, "
                f"{event.total / self.trainer.learner.steps_per_epoch:.2g} passes over the text."
            )
            self.speed.restart()
        elif isinstance(event, events.Saved):
            self._say(f"Saved after step {event.step:,}.")
        elif isinstance(event, events.SaveFailed):
            self._warn(f"Not saved after step {event.step:,}: {event.error.message} Training goes on in memory.")
        elif isinstance(event, events.RolledBack):
            self.train_nats = None
            self.speed.restart()
            self._warn(
                f"Training went wrong: {event.why}. Back at step {event.step:,}, from now on with "
                f"{event.rate_scale:g} times the learning rate."
            )

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
        self.task = self.bar.add_task("", total=self.trainer.progress.total, facts="compiling")
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
                left = (event.total - event.step) * self.characters / self.speed.rate
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
            for line in self._sample(event).splitlines():
                self._say("  | " + printable(line))

    def _sample(self, event: "Evaluated") -> str:
        import numpy as np

        from charrnn.inference.generation import Ending, Generation, sample_text
        from charrnn.inference.model import Model
        from charrnn.inference.sampling import Sampling

        model = Model(self.trainer.model, self.trainer.vocab, event.weights, self.trainer.text)
        how = Generation(Ending(SAMPLE), Sampling(TEMPERATURE), seed=event.step)
        return sample_text(model, np.zeros(0, int), how)

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
