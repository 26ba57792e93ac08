"""The view of a training run on stderr: live on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import as_options, notify, printable, say
from charrnn.cli.views.units import short
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.api.events import Began, Evaluated, Event, Stepped
    from charrnn.api.session import Training

SAMPLE = 200
TEMPERATURE = 0.7
# Plain lines come this often, in seconds, between evaluations.
LINE_EVERY = 30.0
# The columns that the bar's other parts take: the percentage, a bar of some length and hours that are left.
BESIDE_FACTS = 20
# Another number of steps is told if it differs by this share.
CHANGED = 0.1
# Where there is too little room for all facts, those named first are left out first.
LEFT_OUT = ("lr", "epoch", "speed", "train")


class View:
    """Shows the events of a training run; a context manager, so that the terminal is always put right again."""

    def __init__(self, training: "Training", quiet: bool):
        self.training, self.quiet = training, quiet
        self.bar: Any = None
        self.began: Began | None = None
        self.unit = "character"
        self.train_nats: float | None = None
        self.val_nats: float | None = None
        self.last_step: Stepped | None = None
        # How many steps were last said to fit the time.
        self.told: int | None = None
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
                if self.bar is not None and self.last_step is not None:
                    # It may be the last one, and stays on the terminal.
                    self._progress(self.last_step)
                self.speed.restart()
            case events.BudgetFixed(total, characters_per_second):
                self._fixed(total, characters_per_second)
                self.speed.restart()
            case events.Saved(step):
                self._say(f"Saved after step {step:,}.")
            case events.SaveFailed(step, error):
                why = printable(as_options(error.message))
                self._warn(f"Not saved after step {step:,}: {why} Training goes on in memory.")
            case events.FolderMade(path):
                self._warn(f"The folder of the run was moved or removed: it was made again at {printable(str(path))}.")
            case events.RolledBack(step, why, rate_scale):
                self.train_nats = None
                self.speed.restart()
                self._warn(
                    f"Training went wrong: {printable(why)}. Back at step {step:,}, from now on with "
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

        assert self.training.job is not None
        self.unit = self.training.job.data.corpus.text.config.unit
        self.began, self.val_nats = event, event.best_nats
        if self.quiet:
            return
        if sys.stderr.isatty():
            # First: below it lines are broken between words.
            self._start_bar()
        corpus, parts = self.training.job.data.corpus, self.training.job.data.parts
        test = f", {sum(map(len, parts.test)):,} to test" if parts.test else ""
        width = "one-hot input" if event.model.embedding is None else f"embedding {event.model.embedding}"
        self._say(
            f"{len(corpus):,} {self.unit}s, {len(corpus.text.symbols):,} different; "
            f"{len(parts.train):,} to train on, {sum(map(len, parts.val)):,} to validate{test}."
        )
        settings, name = event.training, event.path.resolve().name
        parameters = parameter_count(event.model, event.vocab_size)
        # Where a run goes on the rate is another by now.
        at = "" if event.step else f" at {settings.rate:g}"
        self._say(
            f"{event.model.title}, {width}, {parameters:,} parameters; batch {settings.batch}, "
            f"seq {settings.seq}, dropout {settings.dropout:g}, {settings.optimizer}{at}. "
            f"Run: {printable(name)}"
        )

    def _fixed(self, total: int, characters_per_second: float) -> None:
        """Say how many steps fit the time, if that is news: other budgets may be smaller."""
        assert self.began is not None
        told, limit = self.told, self.began.training.steps
        if total == limit or (told is not None and abs(total - told) <= CHANGED * told):
            return
        self.told = total
        passes = f"{total / self.began.steps_per_epoch:.2g} passes over the text"
        instead = "" if told is None else f" instead of {told:,}"
        self._say(f"{characters_per_second:,.0f} {self.unit}s/s: {total:,} steps fit the time{instead}, {passes}.")

    def _stepped(self, event: "Stepped") -> None:
        self.last_step = event
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

        console = Console(stderr=True)
        if console.is_dumb_terminal:
            # It cannot go back to a line, and would show no bar.
            return
        self.bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task("", total=self.began and self.began.total, facts="compiling")
        self.bar.start()

    def _progress(self, event: "Stepped") -> None:
        if self.quiet:
            return
        facts = self._facts(event)
        if self.bar is not None:
            shown = _fitting(facts, self.bar.console.width - BESIDE_FACTS)
            self.bar.update(self.task, completed=event.step, total=event.total, facts=shown)
            return
        if time.perf_counter() - self.last_line > LINE_EVERY:
            of = f"/{event.total:,}" if event.total else ""
            eta = ""
            if event.total and self.speed.rate:
                left = (event.total - event.step) * self._characters / self.speed.rate
                eta = f", {math.ceil(left / 60)} min left"
            self._say(f"step {event.step:,}{of}, {', '.join(facts.values())}{eta}")

    def _facts(self, event: "Stepped") -> dict[str, str]:
        facts = {"epoch": f"epoch {event.epoch:.2f}"}
        if self.speed.rate:
            facts["speed"] = f"{self.speed.rate:,.0f} {short(self.unit)}s/s"
        if self.train_nats is not None:
            facts["train"] = f"train {self.train_nats / math.log(2):.3f}"
        if self.val_nats is not None:
            facts["val"] = f"val {self.val_nats / math.log(2):.3f} bits/{short(self.unit)}"
        facts["lr"] = f"lr {event.learning_rate:.1e}"
        return facts

    def _evaluated(self, event: "Evaluated") -> None:
        val = "" if event.val_nats is None else f", validation {event.val_nats / math.log(2):.4f}"
        train = "-" if event.train_nats is None else f"{event.train_nats / math.log(2):.4f}"
        self._say(
            f"epoch {event.epoch:.2f}, step {event.step:,}: train {train}{val} "
            f"bits per {self.unit}{' (best so far)' if event.best and event.val_nats is not None else ''}"
        )
        if not self.quiet:
            model = self.training.model(event)
            sample = model.sample(SAMPLE, temperature=TEMPERATURE, seed=event.step)
            for line in readable(sample, model.text).splitlines():
                self._say("  | " + printable(line), whole=True)

    def _warn(self, line: str) -> None:
        """Print what even --quiet does not silence."""
        if self.quiet:
            say(line)
        else:
            self._say(line)

    def _say(self, line: str, whole: bool = False) -> None:
        """Print a line; above the bar it is broken between words, unless it is to stay `whole`."""
        if self.quiet:
            return
        self.last_line = time.perf_counter()
        if not self._on_bar(lambda bar: bar.console.print(_plain(line), soft_wrap=whole)):
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
                # It holds sys.stderr, which is needed once more.
                with suppress(OSError):
                    self.bar.stop()
                self.bar = None
        return self.bar is not None


def _plain(line: str) -> Any:
    """Return a line as Rich shows it unchanged: without markup, colours, and emojis for names such as `:key:`."""
    from rich.text import Text

    return Text(line)


def _fitting(facts: dict[str, str], room: int) -> str:
    """Return the facts in a line of at most `room` columns, as many of them as go there; at least one."""
    for name in LEFT_OUT:
        if len(", ".join(facts.values())) > room and len(facts) > 1:
            facts = {other: fact for other, fact in facts.items() if other != name}
    return ", ".join(facts.values())


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
