"""The space of a search: which settings are searched, among which values, and where it begins: at the defaults."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from charrnn.api.settings import settings
from charrnn.config import DEFAULT_RATES, RANGES, RATES, SEARCHED, Range
from charrnn.errors import CharRNNError, did_you_mean

# The search sets these itself, or a trial cannot have them.
_OWN = {
    "epochs": "a trial has the length `trial_minutes` or `steps`",
    "eval_every": "the length of a trial says when it is evaluated",
    "init": "the size of the model would be fixed; train with `init` itself instead",
    "preset": "give its settings themselves",
}
# The arguments of `train_events` that are not settings of a run.
_READING = ("include", "min_count", "val_file", "vocab")


@dataclass(frozen=True)
class Space:
    """The searched settings: their ranges, and their values without a search, both by name."""

    ranges: Mapping[str, Range]
    defaults: Mapping[str, Any]

    def chosen(self, params: Mapping[str, float]) -> dict[str, Any]:
        """Return values of settings for values that a sampler drew: the nearest ones that are allowed."""
        return {name: nearest(self.ranges[name], value) for name, value in params.items()}

    def differing(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that differ from the defaults."""
        return {name: value for name, value in params.items() if value != self.defaults[name]}


def nearest(range_: Range, value: float) -> float | int:
    """Return the value of a range that is nearest to a number."""
    if range_.values:
        measure = math.log if range_.log else float
        return min(range_.values, key=lambda one: abs(measure(one) - measure(value)))
    rounded = float(f"{value:.{range_.digits}g}") if range_.log else round(value, range_.digits)
    return min(max(rounded, range_.low), range_.high)


def space(given: Mapping[str, Any], searched: Sequence[str] | None) -> Space:
    """Return the space of a search, and check what is given; raise CharRNNError for what cannot be searched.

    given: settings that all trials share, by name; they are not searched. searched: the names of the searched settings;
    by default all that are not given.
    """
    for name, why in _OWN.items():
        if given.get(name) is not None:
            raise CharRNNError(f"A search cannot be given `{name}`: {why}.", "Leave it out.")
    for name in searched or ():
        if name not in SEARCHED:
            hint = did_you_mean(name, SEARCHED)
            raise CharRNNError(f"`search` is {name!r}; it can name {', '.join(SEARCHED)}.", hint)
        if name in given:
            raise CharRNNError(
                f"`search` names `{name}`, which is fixed: `{name}={given[name]}`.", "Leave out one of them."
            )
    names = [name for name in SEARCHED if (name in searched if searched is not None else name not in given)]
    if not names:
        raise CharRNNError("Nothing is left to search: all settings are given.", "Leave out one of them.")
    shared = {name: value for name, value in given.items() if name not in _READING}
    made = settings(shared)
    if not made.train.val and made.train.split != "char-rnn" and not given.get("val_file"):
        raise CharRNNError("A search compares validation losses; with `val=0` there are none.", "Leave it out.")
    every = {"lr": made.train.rate, **{name: getattr(made.train, name) for name in ("dropout", "batch", "seq")}}
    every |= {name: getattr(made.model, name) for name in ("units", "layers")}
    factor = DEFAULT_RATES[made.train.optimizer]
    rates = replace(RATES, low=_rounded(RATES.low * factor), high=_rounded(RATES.high * factor))
    ranges = {"lr": rates, **RANGES}
    return Space({name: _with(ranges[name], every[name]) for name in names}, {name: every[name] for name in names})


def _rounded(rate: float) -> float:
    return float(f"{rate:.{RATES.digits}g}")


def _with(range_: Range, value: float) -> Range:
    """Return a range that has this value too."""
    values = tuple(sorted({*range_.values, int(value)})) if range_.values else ()
    return replace(range_, low=min(range_.low, value), high=max(range_.high, value), values=values)


def check_budget(minutes: float | None, trial_minutes: float | None, trials: int | None, steps: int | None) -> None:
    """Raise CharRNNError unless the budget of a search is a time, or a number of trials of some steps."""
    if (trials is None) != (steps is None):
        one, other = ("trials", "steps") if steps is None else ("steps", "trials")
        raise CharRNNError(f"`{one}` needs `{other}`: a search has a time, or so many trials of so many steps.")
    if trials is not None:
        if minutes is not None or trial_minutes is not None:
            raise CharRNNError("A search has either a time, or `trials` and `steps`.", "Leave out one of them.")
        for name, count in (("trials", trials), ("steps", steps)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise CharRNNError(f"`{name}` is {count!r}; it must be a whole number, at least 1.")
        return
    for name, time in (("minutes", minutes), ("trial_minutes", trial_minutes)):
        if time is not None and not (isinstance(time, int | float) and 0 < time < 1e9):
            raise CharRNNError(f"`{name}` is {time!r}; it must be a number above 0.")
    if minutes is not None and trial_minutes is not None and trial_minutes > minutes:
        raise CharRNNError(f"`trial_minutes={trial_minutes}` is longer than the search, `minutes={minutes}`.")
