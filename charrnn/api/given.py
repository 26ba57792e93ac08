"""Checks of the types of arguments, before other code relies on them."""

import inspect
import math
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.config import UNKNOWN
from charrnn.errors import CharRNNError, did_you_mean

_TEXT, _NUMBER, _WHOLE = (str, bytes), (int, float, np.number), (int, np.integer)
_NAME: tuple[Any, str] = (str, "a str")
_PATH: tuple[Any, str] = ((str, os.PathLike), "a path")
_RUN: tuple[Any, str] = ((str, os.PathLike), "the name of a run, or a path")
_CALLED: tuple[Any, str] = (Callable, "a function")
# What parameters must be, by name; a name means the same in every function.
_KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("run", "init"), _RUN),
    **dict.fromkeys(("out", "vocab", "tensorboard_dir"), _PATH),
    **dict.fromkeys(
        ("name", "backend", "device", "engine", "coordinator", "encoding", "errors", "field", "label_field", "part"),
        _NAME,
    ),
    **dict.fromkeys(("notify", "watch"), _CALLED),
    **dict.fromkeys(("temperature", "top_p", "min_p", "typical"), (_NUMBER, "a number")),
    **dict.fromkeys(("top_k", "seed", "processes", "process_id"), (_WHOLE, "a whole number")),
    **dict.fromkeys(("allow", "forbid", "append", "after"), (_TEXT, "a str, or bytes")),
    **dict.fromkeys(("prime", "text"), ((*_TEXT, np.ndarray), "a str, bytes, or an array of ids")),
    "keep_until": (bool, "True or False"),
    **dict.fromkeys(("unique", "novel", "sort", "keep_until", "tensorboard"), (bool, "True or False")),
    "data": (bytes, "bytes"),
}
_OF_RESUMING = ("resume", "out", "watch", "began")
_NEVER_NONE = ("prime", "text", "data", "device", "engine")


def check_given(**given: object) -> None:
    """Raise CharRNNError if an argument does not have the type that its name needs; None usually means not given."""
    for name, value in given.items():
        kinds, what = _KINDS.get(name, (object, ""))
        if not isinstance(value, kinds) and (value is not None or name in _NEVER_NONE):
            raise unfit(name, value, what)


def check_resumed(what: str, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise CharRNNError if a call that resumes something was given more than where it is and how it is shown.

    given: the arguments of the function by name. What is `**settings` of it is in "settings".
    """
    parameters = inspect.signature(function).parameters
    defaults = {name: one.default for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD}
    own = [name for name, default in defaults.items() if name not in _OF_RESUMING and given[name] != default]
    if more := [*own, *given["settings"]]:
        raise CharRNNError(f"A {what} that goes on keeps its text and its settings; leave out `{more[0]}`.")


def check_whole(name: str, value: object, least: int, most: float = math.inf) -> None:
    """Raise CharRNNError unless an argument is a whole number from `least` to `most`."""
    if not isinstance(value, int | np.integer) or not least <= value <= most:
        up_to = "" if most == math.inf else f" and at most {most}"
        raise unfit(name, value, f"a whole number, at least {least}{up_to}")


def checked_ids(name: str, ids: np.ndarray, size: int) -> np.ndarray:
    """Return an array of ids below `size`, (characters,); raise CharRNNError for any other array."""
    if ids.ndim != 1 or (len(ids) and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= size)):
        raise unfit(name, ids, f"ids from 0 to {size - 1}, whole numbers in an array of one dimension")
    return ids


def one_or_several(name: str, given: Any, kinds: Any, what: str) -> list[Any]:
    """Return one or several values as a list; raise CharRNNError if one of them has another type than `kinds`."""
    several = [given] if isinstance(given, kinds) else list(given) if isinstance(given, Iterable) else [None]
    for one in several:
        if not isinstance(one, kinds):
            raise unfit(name, given, what)
    return several


def check_unknown(policy: str | None) -> None:
    """Raise CharRNNError unless `unknown` is a known policy, or None."""
    if policy is not None:
        check_one_of("unknown", policy, UNKNOWN)


def check_one_of(name: str, value: object, known: Sequence[str]) -> None:
    """Raise CharRNNError unless an argument is one of the known values."""
    if value not in known:
        raise CharRNNError(
            f"`{name}` is {value!r}; it must be one of {', '.join(known)}.", did_you_mean(str(value), known)
        )


def unfit(name: str, value: object, what: str) -> CharRNNError:
    """Return the error for an argument that is not what it must be."""
    return CharRNNError(f"`{name}` is {reprlib.repr(value)}; it must be {what}.")
