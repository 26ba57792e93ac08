"""Times and sizes in a form that people can read."""

import math


def age(seconds: float) -> str:
    """Return how long ago something was, in its largest whole unit: "3 min ago"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {'day' if unit == 'days' and count == 1 else unit} ago"
    return "just now"


def clock(seconds: float) -> str:
    """Return a length of time as a clock shows it: "3:24", "1:03:24"."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Return a number of bytes in decimal units: "41.2 MB"."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} B"


def short(unit: str) -> str:
    """Return the short name of a unit of text for columns: "char", "byte"."""
    return unit.removesuffix("acter")
