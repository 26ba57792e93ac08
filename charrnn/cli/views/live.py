"""The view of a training run on stderr: live on a terminal, plain lines elsewhere."""

import math
import sys
import time
from typing import TYPE_CHECKING

from charrnn.cli.console import as_options, printable
from charrnn.cli.views import beginning, trouble
from charrnn.cli.views.speed import Speed
from charrnn.cli.views.units import clock, short
from charrnn.cli.views.with_bar import WithBar
from charrnn.cli.views.wrapping import FIXED
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.api.events import Began, Evaluated, Event, Stepped
    from charrnn.api.session import Training
    from charrnn.cli.views.bar import Shown

SAMPLE = 200
TEMPERATURE = 0.7
# Plain lines come this often, in seconds, between evaluations.
LINE_EVERY = 30.0
# After KNOWN_AFTER seconds of training the speed is known well enough to predict the end of the run. The prediction is
# printed if at least WORTH_TELLING seconds remain.
KNOWN_AFTER, WORTH_TELLING = 10.0, 60.0
# A new number of steps is printed if it differs from the last one by more than this fraction.
CHANGED = 0.1
# Values of --quiet: no samples; nothing but warnings and errors.
NO_SAMPLES, NOTHING = 1, 2


class View(WithBar):
    """Shows the events of a training run; a context manager, so that the terminal is always restored."""

    def __init__(self, training: "Training", quiet: int):
        super().__init__()
        self.training, self.quiet = training, quiet
        self.began: Began | None = None
        # What is read, and what is predicted.
        self.unit = self.predicted = "character"
        self.train_nats: float | None = None
        self.val_nats: float | None = None
        self.accuracy: float | None = None
        self.last_step: Stepped | None = None
        # The number of steps that was last printed as fitting the time, and whether the time limit ends the run.
        self.told: int | None = None
        self.is_timed = self.has_told_the_end = False
        # After the end of a run: how long it took, and whether it reached the end of its budget.
        self.took: float | None = None
        self.is_complete = False
        self.last_line = time.perf_counter()
        self.speed = Speed()

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_bar()

    def show(self, event: "Event") -> None:
        """Show one event."""
        from charrnn.api import events
        from charrnn.cli.views import report

        match event:
            case events.Noticed(message, is_advice):
                if is_advice:
                    self._say(printable(as_options(message)))
                else:
                    self.print(printable(as_options(message)))
            case events.Loading(backend, others):
                self._say(beginning.plan(self.training))
                waiting = f", and waiting for {others} other process{'' if others == 1 else 'es'}" if others else ""
                self._say(f"Loading {backend}{waiting} …")
            case events.Began():
                self._begin(event)
            case events.Stepped():
                self._stepped(event)
            case events.Evaluated():
                self.val_nats, self.accuracy = event.val_nats, event.val_accuracy
                self._evaluated(event)
                self.speed.restart()
            case events.BudgetFixed(total, characters_per_second):
                self._fixed(total, characters_per_second)
                self.speed.restart()
            case events.Saved(step):
                self._say(f"Saved after step {step:,}.")
            case events.SaveFailed() | events.FolderMade() | events.RolledBack():
                if isinstance(event, events.RolledBack):
                    self.train_nats = None
                    self.speed.restart()
                self.print(trouble.told(event))
            case events.Ended():
                self.is_complete = event.reason == "budget"
                self.stop_bar()
                report.ended(self.training, event, self.quiet >= NOTHING)
            case events.Measured():
                report.measured(event, self.quiet >= NOTHING)

    def _begin(self, event: "Began") -> None:
        """Print which model is trained on which text."""
        assert self.training.job is not None
        self.unit = self.training.job.data.corpus.text.config.unit
        self.predicted = event.model.predicted(self.unit)
        self.began, self.val_nats, self.accuracy = event, event.best_nats, event.best_accuracy
        self.is_timed = event.total is None
        if self.quiet >= NOTHING:
            return
        if sys.stderr.isatty():
            self.start_bar()
        for line in beginning.facts(self.training, event):
            self._say(line)

    def _fixed(self, total: int, characters_per_second: float) -> None:
        """Print how many steps fit the time limit, if that ends the run and the number is new."""
        from charrnn.training.budget import counted_total

        assert self.began is not None
        self.is_timed = total != counted_total(self.began.training, self.began.steps_per_epoch)
        told = self.told
        if not self.is_timed or (told is not None and abs(total - told) <= CHANGED * told):
            return
        self.told = total
        passes = f"{total / self.began.steps_per_epoch:.2g} passes over the text"
        instead = "" if told is None else f" instead of {told:,}"
        self._say(
            f"{characters_per_second:,.0f} {self.unit}s/s: there is time for {total:,} steps{instead}, or {passes}."
        )

    def _stepped(self, event: "Stepped") -> None:
        self.last_step = event
        self.speed.add(event.step * self._characters)
        nats = event.nats
        if nats is not None:
            self.train_nats = nats if self.train_nats is None else 0.98 * self.train_nats + 0.02 * nats
        self._tell_the_end()
        if self.bar is None and time.perf_counter() - self.last_line > LINE_EVERY:
            self._plain_line(event)

    def _tell_the_end(self) -> None:
        """Print once when a run with a fixed number of steps will be done; its first line could not know."""
        left, rate = self._seconds_left(), self.speed.rate
        if self.has_told_the_end or self.is_timed or rate is None or self.speed.passed < KNOWN_AFTER:
            return
        self.has_told_the_end = True
        if left is not None and left > WORTH_TELLING:
            self._say(f"{rate:,.0f} {self.unit}s/s: done about {beginning.clock_time(left)}.")

    @property
    def _characters(self) -> int:
        """Return how many characters a step reads."""
        assert self.began is not None
        return self.began.training.batch * self.began.training.seq

    @property
    def _epoch(self) -> list[str]:
        return [] if self.last_step is None else [f"epoch {self.last_step.epoch:.2f}"]

    @property
    def _rate(self) -> list[str]:
        return [f"{self.speed.rate:,.0f} {short(self.unit)}s/s"] if self.speed.rate else []

    @property
    def _learning_rate(self) -> list[str]:
        return [] if self.last_step is None else [f"lr {self.last_step.learning_rate:.1e}"]

    def _seconds_left(self) -> float | None:
        """Return how many seconds training will still take, None while that is not known."""
        if self.is_timed:
            return beginning.seconds_left(self.training)
        step = self.last_step
        return None if step is None or step.total is None else self.speed.seconds_for(step.total - step.step)

    def _share(self) -> float:
        """Return the fraction of the run that is done: of its time, or of its steps."""
        assert self.began is not None
        if self.is_complete:
            return 1.0
        minutes, step = self.began.training.minutes, self.last_step or self.began
        if self.is_timed and minutes is not None:
            return min(1.0, 1 - beginning.seconds_left(self.training) / (60 * minutes))
        return min(1.0, step.step / step.total) if step.total else 0.0

    def shown(self) -> "Shown":
        """Return what the bar shows now."""
        from charrnn.cli.views.bar import Shown

        assert self.training.job is not None
        left = self._seconds_left()
        time_left = f"{'-:--' if left is None else clock(left)} left"
        took = None if self.took is None else f"took {clock(self.took)}"
        losses = [f"train {_bits(self.train_nats)}"]
        if self.training.job.data.parts.val:
            losses.append(f"val {_bits(self.val_nats)}")
        losses += [] if self.accuracy is None else [_right(self.accuracy)]
        facts = ["compiling"] if self.last_step is None else [*self._rate, *self._epoch, *self._learning_rate]
        return Shown(self._share(), took or time_left, losses, f"bits/{short(self.predicted)}", facts)

    def _plain_line(self, event: "Stepped") -> None:
        """Print how far training is, if there is no bar."""
        of = f"/{event.total:,}" if event.total else ""
        losses = [] if self.train_nats is None else [f"train {_bits(self.train_nats)}"]
        if self.val_nats is not None:
            losses.append(f"val {_bits(self.val_nats)} bits/{short(self.predicted)}")
        losses += [] if self.accuracy is None else [_right(self.accuracy)]
        left = self._seconds_left()
        eta = [] if left is None else [f"{math.ceil(left / 60)} min left"]
        parts = [*self._epoch, *self._rate, *losses, *self._learning_rate, *eta]
        self._say(f"step {event.step:,}{of}, {', '.join(parts)}")

    def _evaluated(self, event: "Evaluated") -> None:
        parts = [f"epoch {event.epoch:.2f}, step {event.step:,}:", f"train {_bits(event.train_nats, 4)}"]
        if event.val_nats is None:
            parts[-1] += " bits"
        else:
            best = ", best" if event.best else ""
            parts[-1] += ","
            right = "" if event.val_accuracy is None else f", {_right(event.val_accuracy)}"
            parts.append(f"val {_bits(event.val_nats, 4)} bits{right}{best}")
        # A line that is too long is broken between the parts only.
        self._say(" ".join(part.replace(" ", FIXED) for part in parts))
        if self.quiet < NO_SAMPLES and self.predicted == self.unit:
            model = self.training.model(event)
            sample = model.sample(SAMPLE, temperature=TEMPERATURE, seed=event.step)
            # A model of lines finishes its last line, which may take thousands of characters.
            sample = sample if len(sample) <= 2 * SAMPLE else sample[: 2 * SAMPLE] + " …"
            for line in readable(sample, model.text).splitlines():
                self._say(printable(line), "  | ")

    def stop_bar(self) -> None:
        """Draw the bar for the last time, with the time that training took."""
        if self.bar is not None:
            self.took = time.perf_counter() - self.training.began
        super().stop_bar()

    def _say(self, line: str, prefix: str | None = None) -> None:
        if self.quiet < NOTHING:
            self.last_line = time.perf_counter()
            self.print(line, prefix)


def _right(accuracy: float) -> str:
    return f"{100 * accuracy:.1f} % right"


def _bits(nats: float | None, digits: int = 3) -> str:
    return "-" if nats is None else f"{nats / math.log(2):.{digits}f}"
