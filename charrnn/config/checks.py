"""Checks of settings: each raises CharRNNError with the name of the setting and what its value must be."""

from typing import Any

from charrnn.errors import CharRNNError, did_you_mean

# Limits of settings that have no other limit: more than any user needs, and arithmetic with them cannot overflow.
MOST, MOST_UNITS, MOST_LAYERS = 1e12, 1e6, 1000
MOST_FLOAT32 = 1e38


def at_least(settings: Any, low: float, *names: str, most: float = MOST) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= low:
            raise CharRNNError(f"{named(name)} is {value}; it must be at least {low}.")
        if value is not None and value > most:
            raise CharRNNError(f"{named(name)} is {value}; it must be at most {most:g}.")


def above_zero(settings: Any, *names: str, most: float = MOST) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value <= most:
            raise CharRNNError(f"{named(name)} is {value}; it must be above 0 and at most {most:g}.")


def one_of(settings: Any, name: str, choices: tuple[str, ...], hint: str | None = None) -> None:
    value = getattr(settings, name)
    if value not in choices:
        raise CharRNNError(
            f"{named(name)} is {value!r}; it must be one of {', '.join(choices)}.",
            hint=did_you_mean(str(value), choices) or hint,
        )


def named(name: str) -> str:
    """Return the name of a parameter for messages; the command line spells it as an option."""
    return f"`{name}`"
