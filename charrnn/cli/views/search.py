"""The view of a search on stderr: a bar on a terminal, a line for each trial; and its result on stdout."""

import math
import signal
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from charrnn.api import events, tuned
from charrnn.api.json_text import json_text
from charrnn.api.study import COMPLETE, ENOUGH, FAILED, PRUNED
from charrnn.cli.console import as_command, as_options, printable, with_cells, write_data
from charrnn.cli.views import trouble
from charrnn.cli.views.beginning import clock_time, counted
from charrnn.cli.views.table import aligned
from charrnn.cli.views.units import clock, short
from charrnn.cli.views.with_bar import WithBar
from charrnn.cli.views.wrapping import columns_of, tell
from charrnn.runs.folder import Run, shell_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from charrnn.api.tuned import TunedTrial, Tuning
    from charrnn.api.tuning import Search
    from charrnn.cli.views.bar import Shown

# So many trials are in the table of the result; --json has all.
SHOWN = 10


class View(WithBar):
    """Shows the events of a search; a context manager, so that the terminal is always restored."""

    def __init__(self, search: "Search"):
        super().__init__()
        self.search = search
        self.began: tuned.SearchBegan | None = None
        self.best: TunedTrial | None = None
        self.trial: TunedTrial | None = None
        self.done = 0
        # How much of the current trial is done, and its newest loss in bits.
        self.part, self.now = 0.0, ""
        self.unit = "character"
        self.told: set[str] = set()

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_bar()

    def show(self, event: "tuned.SearchEvent") -> None:
        """Show one event."""
        match event:
            case tuned.SearchBegan():
                self._begin(event)
            case tuned.TrialBegan(trial):
                self.trial, self.part, self.now = trial, 0.0, ""
            case events.OfRun(_, told):
                self._told(told)
            case tuned.TrialEnded(trial, best):
                self.done, self.part, self.best = self.done + 1, 0.0, best
                self.print(line(trial, self.unit, best is not None and best.number == trial.number))

    def _begin(self, event: "tuned.SearchBegan") -> None:
        record, self.began, self.done = event.record, event, len(event.trials)
        self.best = min(
            (trial for trial in event.trials if trial.state == COMPLETE),
            key=lambda trial: trial.bits_per_char or 0,
            default=None,
        )
        stops = "; Ctrl-C saves and stops" if sys.stderr.isatty() else ""
        if record.minutes is not None:
            left = max(0.0, 60 * record.minutes - event.seconds - (perf_counter() - self.search.began))
            end = f"{record.trial_minutes:g} for a trial, done about {clock_time(left)}"
            length = f"{counted(record.minutes, 'minute')}, {end}"
        else:
            count, steps = record.trials or 0, record.steps or 0
            length = f"{counted(count, 'trial')} of {counted(steps, 'step')}"
        again = f" Continuing after {counted(self.done, 'trial')}." if self.done else ""
        tell(f"Searching {', '.join(event.record.searched)}: {length}{stops}.{again}")
        if sys.stderr.isatty():
            self.start_bar()

    def _told(self, told: Any) -> None:
        match told:
            case events.Noticed(message, False):
                # Each trial would repeat it.
                if message not in self.told:
                    self.told.add(message)
                    self.print(printable(as_options(message)))
            case events.Began(model=model):
                self.unit = model.predicted(self.unit)
            case events.Stepped(step, total):
                self.part = step / total if total else 0.0
            case events.SaveFailed() | events.FolderMade() | events.RolledBack() if self.trial is not None:
                self.print(f"{self.trial.name}: {trouble.told(told)}")
            case events.Evaluated(val_nats=nats) if nats is not None:
                self.now = f"now {nats / math.log(2):.3f}"

    def shown(self) -> "Shown":
        from charrnn.cli.views.bar import Shown

        assert self.began is not None
        record, passed = self.began.record, perf_counter() - self.search.began
        if record.minutes is not None:
            seconds = 60 * record.minutes
            share, time = (
                (self.began.seconds + passed) / seconds,
                clock(max(0.0, seconds - self.began.seconds - passed)),
            )
        else:
            share, time = (self.done + self.part) / (record.trials or 1), clock(passed)
        best = [] if self.best is None else [f"best {self.best.bits_per_char:.3f}"]
        number = self.done if self.trial is None else self.trial.number
        trial = f"trial {number} {int(100 * self.part):2d}%"
        return Shown(min(1.0, share), time, [*best, trial], "", [self.now] if self.now else [])


def spelled(settings: "Mapping[str, Any]") -> str:
    """Return settings as a line shows them: "lr 0.01, units 384"."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items()) or "the defaults"


def line(trial: "TunedTrial", unit: str, is_best: bool) -> str:
    """Return the line about a trial that has ended."""
    what = f"Trial {trial.number}, {spelled(trial.differing)}"
    if trial.state == PRUNED:
        bits = trial.estimates[trial.percent or 0]
        return f"{what}: ended early at {trial.percent} %, {bits:.3f} bits per {unit}."
    if trial.state == FAILED:
        return f"{what}: failed. {printable(as_options(trial.why or ''))}"
    return f"{what}: {trial.bits_per_char:.4f} bits per {unit}{', the best so far' if is_best else ''}."


def result(found: "Tuning", as_json: bool) -> None:
    """Print what a search has found."""
    command = None if found.call is None else as_command(found.call)
    if as_json:
        write_data(json_text({**found.to_json(), "command": command}))
        return
    if found.best is None:
        return
    ranked = sorted(found.trials, key=_rank)[:SHOWN]
    heads = ("trial", f"bits/{short(found.unit)}", "", "settings")
    write_data(aligned([heads, *map(_row, ranked)], "<><<", columns_of(sys.stdout), wrapping=3))
    against = ""
    if found.default is not None and found.default.number != found.best.number:
        against = f"; with the defaults {found.default.bits_per_char:.4f}"
    counts = [
        (found.count(COMPLETE), "complete"),
        (found.count(PRUNED), "ended early"),
        (found.count(FAILED), "failed"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    write_data(
        f"\nBest: {printable(named(found, found.best))}, {found.best.bits_per_char:.4f} bits per {found.unit}"
        f"{against}.\n"
        f"Trials: {told}.\n{_mattered(found)}\nTrain it again: {printable(command or '')}\n"
    )


def _mattered(found: "Tuning") -> str:
    """Return which settings mattered."""
    if found.importance is None:
        return (
            f"Too few trials to say which settings matter: {ENOUGH} or more, of two or more settings, would be needed."
        )
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
    return f"What the best trials have in common, as shares: {shares}."


def _rank(trial: "TunedTrial") -> tuple[float, float]:
    """Return the key of the order of the table: complete trials, then those that came farthest."""
    if trial.bits_per_char is not None:
        return 0, trial.bits_per_char
    last = max(trial.estimates, default=0)
    return (1 / last, trial.estimates[last]) if last else (2, trial.number)


def _row(trial: "TunedTrial") -> tuple[str, ...]:
    last = max(trial.estimates, default=0)
    if trial.bits_per_char is not None:
        bits, how = f"{trial.bits_per_char:.4f}", ""
    else:
        bits = f"{trial.estimates[last]:.3f}" if last else "-"
        how = f"at {last} %" if trial.state == PRUNED else trial.state
    return trial.name, bits, how, spelled(trial.differing)


def named(found: "Tuning", trial: "TunedTrial") -> str:
    """Return how to name the run of a trial on the command line."""
    return f"{shell_name(Run(found.path))}/{trial.name}"


def leave(found: "Tuning", search: "Search", received: int | None) -> None:
    """Print which command comes next; after an interruption, exit with the code that shells expect for the signal."""
    name = shell_name(Run(found.path))
    if found.complete:
        if found.best is None:
            tell("No trial is complete: there is no result.")
        else:
            use = "label" if found.unit == "label" else "sample"
            lines = " LINES" if use == "label" else ""
            tell(f"Use the best one: charrnn {use} {printable(named(found, found.best))}{with_cells()}{lines}")
        return
    if not found.path.is_dir():
        tell("Interrupted before the first step: nothing was written.")
    else:
        best = "No trial is complete yet."
        if found.best is not None:
            best = f"The best trial so far: {printable(named(found, found.best))}."
        tell(f"Stopped, saved. {best} Continue with: charrnn tune --resume {printable(name)}{with_cells()}")
    raise SystemExit(128 + (received or signal.SIGINT))


def last_words(search: "Search") -> str:
    """Return the last message of a search that a signal ends immediately."""
    if search.path is None or not search.path.is_dir():
        return "Interrupted before the first step: nothing was written."
    return f"Continue with: charrnn tune --resume {printable(shell_name(Run(search.path)))}{with_cells()}"
