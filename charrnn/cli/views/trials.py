"""The view of many runs on stderr: a line where each begins and ends, and on a terminal a bar for all of them."""

import math
import sys
from time import perf_counter
from typing import TYPE_CHECKING

from charrnn.cli.console import as_options, printable
from charrnn.cli.views import trouble
from charrnn.cli.views.beginning import counted
from charrnn.cli.views.summary import duration
from charrnn.cli.views.units import clock, short
from charrnn.cli.views.with_bar import WithBar

if TYPE_CHECKING:
    from charrnn.api.comparing import Comparing
    from charrnn.api.comparison import Trial
    from charrnn.api.events import Event
    from charrnn.cli.views.bar import Shown


class TrialsView(WithBar):
    """Shows the events of many runs; a context manager, so that the terminal is always restored."""

    def __init__(self, comparing: "Comparing", quiet: bool):
        super().__init__()
        self.comparing, self.quiet = comparing, quiet
        # The current run: its name, its number, the fraction of it that is done, its last loss.
        self.name, self.number, self.count, self.share = "", 1, 1, 0.0
        self.val_nats: float | None = None
        self.run_began = perf_counter()
        # Where all runs were when the first one began, which may be the middle of an older comparison.
        self.first: tuple[float, float] | None = None
        self.told: set[str] = set()

    def __enter__(self) -> "TrialsView":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_bar()

    def show(self, event: "Event") -> None:
        """Show one event."""
        from charrnn.api import events

        match event:
            case events.Noticed(message, is_advice):
                if not (is_advice and self.quiet):
                    self._notice(message)
            case events.Planned(_, runs):
                self._plan(len(runs))
            case events.RunBegan():
                self.name, self.number, self.count, self.share = event.name, event.number, event.count, 0.0
                self.val_nats, self.run_began = None, perf_counter()
                self.first = self.first or (self._done(), perf_counter())
                self._say(f"{event.number}/{event.count} {printable(event.name)}{' continues' * event.resumes}")
                if self.bar is None and not self.quiet and sys.stderr.isatty():
                    self.start_bar()
            case events.OfRun(name, of_run):
                self._of_run(name, of_run)
            case events.RunEnded(name, trial):
                self._ended(name, trial)

    def _of_run(self, name: str, event: "Event") -> None:
        from charrnn.api import events

        match event:
            case events.Noticed(message, is_advice) if not is_advice:
                self._notice(message)
            case events.Began() | events.Stepped():
                minutes = self._minutes
                if minutes is not None:
                    self.share = min(1.0, (perf_counter() - self.run_began) / (60 * minutes))
                elif event.total:
                    self.share = min(1.0, event.step / event.total)
            case events.Evaluated():
                self.val_nats = event.val_nats
            case events.SaveFailed() | events.FolderMade() | events.RolledBack():
                self.print(f"{printable(name)}: {trouble.told(event)}")

    def _ended(self, name: str, trial: "Trial") -> None:
        if trial.failure is not None:
            self.print(f"{printable(name)} failed: {printable(as_options(trial.failure))}")
            return
        self.share = 1.0
        found = f"{trial.bits_per_char or math.nan:.4f} bits/{short(self._unit)}"
        if trial.accuracy is not None:
            found = f"{100 * trial.accuracy:.2f} % right, {found}"
        speed = (trial.characters or 0) / trial.seconds if trial.seconds else 0.0
        steps = f"{trial.steps or 0:,} steps in {duration(trial.seconds or 0.0)}, {speed:,.0f} chars/s"
        self._say(f"  {printable(name)}: {found}, {steps}")

    @property
    def _minutes(self) -> float | None:
        assert self.comparing.record is not None
        return self.comparing.record.budget.get("minutes")

    @property
    def _unit(self) -> str:
        assert self.comparing.record is not None
        return self.comparing.record.unit

    def _plan(self, count: int) -> None:
        record = self.comparing.record
        assert record is not None and self.comparing.path is not None
        (name, value), *_ = record.budget.items()
        budget = counted(value, name.removesuffix("s"))
        stop = "; Ctrl-C saves and stops" if sys.stderr.isatty() else ""
        candidates = f"{len(record.candidates)} candidate{'' if len(record.candidates) == 1 else 's'}"
        seeds = f"{len(record.seeds)} seed{'' if len(record.seeds) == 1 else 's'}"
        self._say(
            f"Comparing {candidates} with {seeds}: {count} run{'' if count == 1 else 's'} of {budget} in "
            f"{printable(str(self.comparing.path))}{stop}."
        )
        for one in record.candidates:
            if one.refused is not None:
                self.print(f"{printable(one.name)} is left out: {printable(as_options(one.refused))}")
            elif not self.quiet:
                self._say(f"  {printable(one.name)}: {one.units:,} units, {one.parameters:,} parameters")

    def _notice(self, message: str) -> None:
        # Runs of one text have the same notices.
        if message not in self.told:
            self.told.add(message)
            self.print(printable(as_options(message)))

    def _done(self) -> float:
        """Return the fraction of all runs that is done."""
        return (self.number - 1 + self.share) / self.count

    def _seconds_left(self) -> float | None:
        """Return how many seconds all runs will still take, None while that is not known."""
        now = perf_counter()
        if self._minutes is not None:
            here = max(0.0, self.run_began + 60 * self._minutes - now)
            return here + (self.count - self.number) * 60 * self._minutes
        before, began = self.first or (0.0, now)
        done = self._done() - before
        return None if done <= 0 else (now - began) / done * (1 - self._done())

    def shown(self) -> "Shown":
        from charrnn.cli.views.bar import Shown

        left = self._seconds_left()
        time_left = f"{'-:--' if left is None else clock(left)} left"
        loss = "-" if self.val_nats is None else f"{self.val_nats / math.log(2):.3f}"
        return Shown(self._done(), time_left, [self.name, f"val {loss}"], f"bits/{short(self._unit)}", [])

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.print(line)
