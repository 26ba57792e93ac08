"""The heat map of surprisal on the terminal: the colour of each character shows its bits."""

import math
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

from charrnn.cli.console import LAYOUT, each_printable

# Each level begins at one of these. Below the first, the probability of the character was above 1/2: it has no colour.
BITS = (1, 2, 3, 4, 6, 8, 12)
LABELS = (f"<{BITS[0]}", *(f"{low}-{high}" for low, high in pairwise(BITS)), f"{BITS[-1]}+")

# Colours out of 256, for dark and light terminals: from pale to strong and from light to dark, so that people who do
# not see hues can read them too. The first level colours only the text, not the background: it occurs often, and a
# background would make the other levels hard to see.
_INK, _PAPERS = 130, (180, 215, 214, 208, 202, 196)
_COLOURS = ("", f"\x1b[38;5;{_INK}m", *(f"\x1b[38;5;16;48;5;{paper}m" for paper in _PAPERS))
_RESET = "\x1b[0m"
# Marks that are printed in colour for characters that are invisible themselves.
_MARKS = {"\n": "↵", "\t": "→"}


def level(bits: float) -> int:
    """Return the level of a surprisal, 0 to len(BITS); 0 for NaN (not measured)."""
    return 0 if math.isnan(bits) else bisect_right(BITS, bits)


def measured(bits: float, digits: int) -> str:
    """Return a number of bits as it is shown, "-" if it was not measured."""
    return "-" if math.isnan(bits) else f"{bits:.{digits}f}"


def coloured(text: str, bits: Sequence[float], before: str = "") -> str:
    """Return a text for the terminal, each character in the colour of its bits; `before` is the character before it.

    A surprising line break or tab is shown as a coloured ↵ or →, followed by the line break or tab itself.
    """
    return painted(text, [_COLOURS[level(cost)] for cost in bits], before)


def painted(text: str, colours: Sequence[str], before: str = "") -> str:
    """Return a text for the terminal, each character in a colour: a sequence that begins it, "" for none.

    Line breaks, tabs and `before` are as in `coloured`.
    """
    runs = groupby(_cells(text, colours, before), key=itemgetter(0))
    return "".join(in_colour(colour, "".join(shown for _, shown in cells)) for colour, cells in runs)


def _cells(text: str, colours: Sequence[str], before: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of a colour and the text that is shown in it."""
    for character, colour in zip(each_printable(text, LAYOUT, before), colours, strict=True):
        if character not in _MARKS:
            yield colour, character
        else:
            if colour:
                yield colour, _MARKS[character]
            # A terminal paints a coloured line break to the end of the line.
            yield "", character


def in_colour(colour: str, shown: str) -> str:
    """Return a text in a colour, "" for none."""
    return f"{colour}{shown}{_RESET}" if colour else shown


def legend() -> str:
    """Return one line, without a line break, that shows the levels with their bits."""
    return "bits: " + " ".join(in_colour(colour, f" {label} ") for colour, label in zip(_COLOURS, LABELS, strict=True))


def wanted() -> bool:
    """Return whether stdout gets colours: on a terminal unless NO_COLOR is set, anywhere if FORCE_COLOR is."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
