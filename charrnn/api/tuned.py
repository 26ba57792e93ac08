"""What a search finds: its trials, the best of them, the call that trains the winner; and the events on the way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.events import OfRun
from charrnn.api.study import COMPLETE, FAILED, PRUNED, Entry, Study, importance
from charrnn.runs.search import SearchRecord
from charrnn.training.backends.choice import DEFAULT

if TYPE_CHECKING:
    from charrnn.api.model import Model


@dataclass(frozen=True)
class TunedTrial:
    """A trial of a search: a run with some settings.

    path: the folder of its run. state: "complete", "pruned" (ended early), "failed" or "running". settings: the
    searched settings. differing: those of them that are not defaults. bits_per_char: the exact validation loss of a
    complete trial. estimates: validation losses on the way, in bits, by percent of the trial's length. seconds: how
    long it took. minutes, steps: its length. why: why it failed.
    """

    number: int
    path: Path
    state: str
    settings: Mapping[str, Any]
    differing: Mapping[str, Any]
    bits_per_char: float | None
    estimates: Mapping[int, float]
    seconds: float | None
    minutes: float | None
    steps: int | None
    why: str | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def percent(self) -> int | None:
        """Return where it was ended early, in percent of its length; None if it was not."""
        return max(self.estimates) if self.state == PRUNED else None

    def to_json(self) -> dict[str, Any]:
        """Return all facts as a dict that JSON can hold."""
        return {
            "name": self.name,
            "path": str(self.path),
            "state": self.state,
            "settings": dict(self.settings),
            "bits_per_char": self.bits_per_char,
            "estimates": {str(percent): bits for percent, bits in self.estimates.items()},
            "seconds": self.seconds,
            "minutes": self.minutes,
            "steps": self.steps,
            "why": self.why,
        }


@dataclass(frozen=True)
class Tuning:
    """The result of a search.

    path: its folder. trials: in their order; the first one has the default settings. unit: what the bits are per:
    "character", "byte" or "label". importance: how much each setting matters for being among the best trials, as
    shares of 1; None if there are too few trials to say. call: the call of `charrnn.train` that trains the best trial
    again; None if no trial is complete. complete: whether the search has come to its end.
    """

    path: Path
    trials: tuple[TunedTrial, ...]
    unit: str
    importance: Mapping[str, float] | None
    call: str | None
    complete: bool

    @property
    def best(self) -> TunedTrial | None:
        """Return the complete trial with the lowest loss, the first one of several; None if none is complete."""
        return min(
            (t for t in self.trials if t.state == COMPLETE), key=lambda trial: trial.bits_per_char or 0, default=None
        )

    @property
    def default(self) -> TunedTrial | None:
        """Return the trial with the default settings, if it is complete."""
        return next((trial for trial in self.trials[:1] if trial.state == COMPLETE), None)

    def count(self, state: str) -> int:
        """Return how many trials have a state."""
        return sum(trial.state == state for trial in self.trials)

    def load(self) -> "Model":
        """Return the model of the best trial."""
        from charrnn.api.model import load
        from charrnn.errors import CharRNNError

        if self.best is None:
            raise CharRNNError(f"No trial of {self.path} is complete.", "Continue it: charrnn tune --resume NAME")
        return load(str(self.best.path))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a dict that JSON can hold."""
        return {
            "path": str(self.path),
            "complete": self.complete,
            "unit": self.unit,
            "best": self.best and self.best.to_json(),
            "default": self.default and self.default.to_json(),
            "call": self.call,
            "importance": None if self.importance is None else dict(self.importance),
            "trials": [trial.to_json() for trial in self.trials],
        }


# Events


@dataclass(frozen=True)
class SearchBegan:
    """A search begins or, after some `trials` that took so many `seconds`, goes on; `path` is its folder."""

    path: Path
    trials: tuple[TunedTrial, ...]
    record: SearchRecord
    seconds: float


@dataclass(frozen=True)
class TrialBegan:
    """A trial begins or, after a kill, goes on."""

    trial: TunedTrial


@dataclass(frozen=True)
class TrialEnded:
    """A trial is complete, ended early, or failed; `best` is the best trial so far, or None."""

    trial: TunedTrial
    best: TunedTrial | None


@dataclass(frozen=True)
class SearchEnded:
    """The search has ended, or was stopped; `result` is what it has found."""

    result: Tuning


SearchEvent = SearchBegan | TrialBegan | OfRun | TrialEnded | SearchEnded


def run_path(path: Path, number: int) -> Path:
    """Return the folder of the run of a trial."""
    return path / f"trial-{number:03d}"


def trial_of(path: Path, entry: Entry, study: Study) -> TunedTrial:
    """Return a trial of the search in a folder."""
    bits = None if entry.nats is None else entry.nats / math.log(2)
    estimates = {percent: nats / math.log(2) for percent, nats in sorted(entry.rungs.items())}
    seconds, minutes, steps, why = (entry.facts.get(name) for name in ("seconds", "minutes", "steps", "why"))
    differing = study.space.differing(entry.params)
    return TunedTrial(
        entry.number,
        run_path(path, entry.number),
        entry.state,
        dict(entry.params),
        differing,
        bits,
        estimates,
        seconds,
        minutes,
        steps,
        why if entry.state == FAILED else None,
    )


def result_of(path: Path, record: SearchRecord, study: Study) -> Tuning:
    """Return what the search in a folder has found until now."""
    entries = study.entries()
    units = [entry.facts["unit"] for entry in entries if "unit" in entry.facts]
    made = Tuning(
        path,
        tuple(trial_of(path, entry, study) for entry in entries),
        units[0] if units else "character",
        importance(entries, study.space.ranges),
        None,
        study.is_ended,
    )
    if made.best is None:
        return made
    given = {name: value for name, value in {**record.settings, **record.place}.items() if not _is_default(name, value)}
    trained = {**given, **trial_settings(record, made.best.differing, made.best.minutes)}
    return replace(made, call=call(record.corpus, trained))


def _is_default(name: str, value: Any) -> bool:
    """Return whether a call does the same without an argument: if it is off, or says where to train.

    Others may be what another setting would change, such as `split="tail"`, and stay.
    """
    elsewhere = {"backend": DEFAULT, "device": "auto", "engine": "auto"}
    # None turns off what is on by default.
    ons = ("clip_norm", "patience")
    if name in elsewhere:
        return bool(value == elsewhere[name])
    return (value is None or value is False or value in ([], ())) and name not in ons


def trial_settings(record: SearchRecord, differing: Mapping[str, Any], minutes: float | None) -> dict[str, Any]:
    """Return the settings of a trial that the search chooses: those that are searched, and its length.

    A trial of some steps is evaluated at each eighth of them, and so at all rungs; one of some minutes at least as
    often.
    """
    length = (
        {"minutes": minutes} if record.steps is None else {"steps": record.steps, "eval_every": -(-record.steps // 8)}
    )
    return {**differing, **length, **({"seed": record.seed} if record.seed else {})}


def call(corpus: tuple[str, ...], given: Mapping[str, Any]) -> str:
    """Return the call of `charrnn.train` with these arguments."""
    words = [repr(corpus[0] if len(corpus) == 1 else list(corpus))]
    return f"charrnn.train({', '.join([*words, *(f'{name}={value!r}' for name, value in given.items())])})"
