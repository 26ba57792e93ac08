"""The candidates of a comparison: every combination of some cells and settings, of equal size if that is asked for."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from charrnn.api.settings import MODEL, TRAIN, Settings, check_types, plain, settings
from charrnn.config import BUDGET, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.network.parameters import parameter_count
from charrnn.runs.comparison import Candidate
from charrnn.runs.folder import check_name

# Candidates with other values of these could not be compared, or another parameter sets them.
_COMMON = {
    **dict.fromkeys(("val", "test", "split"), "it chooses the validation text, which must be the same for all"),
    **dict.fromkeys(BUDGET, "the budget is the same for all"),
    "seed": "`seeds` says how many there are",
    "cell": "`cell` is a list of cells",
}
VARIED = tuple(name for name in (*MODEL, *TRAIN) if name not in _COMMON)
# On the command line, 0 means off for these.
_OFF = ("embedding", "attention", "clip_norm", "clip_value", "patience", "eval_every", "save_every")
_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
MOST_RUNS = 10_000

# Returns the number of parameters of a network; CharRNNError if there is no such network.
Count = Callable[[ModelConfig], int]


def typed_values(typed: str) -> tuple[str, list[Any]]:
    """Return the name and the values of a setting that is typed as `units=128,256` or `weight-decay=off,0.01`."""
    name, equals, values = typed.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals or not values.strip():
        raise CharRNNError(f"`vary` is {typed!r}; it must be a setting and its values.", "Such as `vary=units=128,256`")
    check_varied(name)
    return name, [_value(name, value.strip()) for value in values.split(",")]


def _value(name: str, word: str) -> Any:
    """Return the value of a setting that a word means."""
    (kind,) = (str(getattr(own.type, "__name__", own.type)) for own in _fields() if own.name == name)
    try:
        if "None" in kind and (word in ("off", "none") or (name in _OFF and float(word) == 0)):
            return None
        if kind == "bool":
            return _WORDS[word.lower()]
        return int(word) if kind.startswith("int") else float(word) if kind.startswith("float") else word
    except (KeyError, ValueError):
        wanted = {"bool": "on or off"}.get(kind, kind.replace(" | None", " or off"))
        raise CharRNNError(f"`{name}` is {word!r}; it must be of the type {wanted}.") from None


def _fields() -> list[Any]:
    return [*fields(ModelConfig), *fields(TrainConfig)]


def check_varied(name: str) -> None:
    """Raise CharRNNError unless candidates may have different values of a setting."""
    if name in _COMMON:
        raise CharRNNError(f"`vary` cannot change `{name}`: {_COMMON[name]}.")
    if name not in VARIED:
        hint = did_you_mean(name, VARIED) or f"These can be varied: {', '.join(VARIED)}."
        raise CharRNNError(f"There is no setting `{name}` that `vary` can change.", hint)


def combinations(cells: Sequence[str], vary: Mapping[str, Iterable[Any]], seeds: int = 1) -> list[dict[str, Any]]:
    """Return every combination of cells and values of settings, each as settings by name; all values are checked.

    seeds: how many runs each has; CharRNNError for more than `MOST_RUNS` runs.
    """
    axes = {"cell": list(dict.fromkeys(cells))}
    if not axes["cell"]:
        raise CharRNNError("No cell was named.", "Name one or several, such as `cell=lstm,gru`")
    for name, values in vary.items():
        check_varied(name)
        axes[name] = list(dict.fromkeys(plain(value) for value in values))
        if not axes[name]:
            raise CharRNNError(f"`vary` has no value of `{name}`.")
    for name, values in axes.items():
        for value in values:
            # A value that is wrong in itself is refused before anything is trained.
            kind: Any = ModelConfig if name in MODEL else TrainConfig
            check_types(kind, {name: value})
            kind(**{**({"clip_norm": None} if name == "clip_value" else {}), name: value})
    runs = math.prod(map(len, axes.values())) * seeds
    if runs > MOST_RUNS:
        raise CharRNNError(f"These are {runs:,} runs; a comparison can have at most {MOST_RUNS:,}.")
    return [dict(zip(axes, one, strict=True)) for one in itertools.product(*axes.values())]


def labels(varied: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each combination the cell, and the settings that differ between combinations."""
    differ = {name for name in varied[0] if len({one[name] for one in varied}) > 1} | {"cell"}
    return [{name: value for name, value in one.items() if name in differ} for one in varied]


def name_of(label: Mapping[str, Any]) -> str:
    """Return the name of a candidate, which can be part of the name of a folder: "gru-units128-dropout0.3"."""
    parts = [str(label["cell"])]
    parts += [f"{name.replace('_', '-')}{_word(value)}" for name, value in label.items() if name != "cell"]
    name = re.sub(r"[^\w.-]+", "-", "-".join(parts)).strip(".-")
    check_name(f"{name}-seed0000")
    return name


def _word(value: Any) -> str:
    return "-off" if value in (None, False) else "-on" if value is True else str(value)


def candidate(label: Mapping[str, Any], given: Mapping[str, Any], params: int | None, count: Count) -> Candidate:
    """Return a candidate with these settings; if they cannot be combined, one that says why.

    With `params`, its units are those with which its number of parameters is nearest to `params`.
    """
    name = name_of(label)
    try:
        chosen = settings(given)
        units = chosen.model.units if params is None else nearest_units(chosen.model, params, count)
        parameters = count(replace(chosen.model, units=units))
    except CharRNNError as error:
        return Candidate(name, given, ModelConfig.units, None, label, str(error))
    return Candidate(name, {**given, "units": units}, units, parameters, label)


def first_usable(all_given: Sequence[Mapping[str, Any]]) -> Settings:
    """Return the settings of the first combination that can be used; CharRNNError, of the first one, if none can."""
    errors = []
    for given in all_given:
        try:
            return settings(given)
        except CharRNNError as error:
            errors.append(error)
    raise errors[0]


def nearest_units(model: ModelConfig, params: int, count: Count) -> int:
    """Return the units with which a network has the number of parameters that is nearest to `params`."""

    def size(units: int) -> int:
        return count(replace(model, units=units))

    low, high = 1, 2
    while size(high) < params:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < params else (low, middle)
    return min((low, high), key=lambda units: abs(size(units) - params))


def counter(vocab_size: int, classes: tuple[str, ...] | None) -> Count:
    """Return the function that counts the parameters of a network for a text."""
    return lambda model: parameter_count(replace(model, classes=classes), vocab_size)
