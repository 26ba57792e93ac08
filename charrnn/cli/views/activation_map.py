"""The values of units on the terminal: a text in colours, blue below zero and red above, or rows of numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from charrnn.cli.console import Writer, say
from charrnn.cli.views.characters import shown
from charrnn.cli.views.heat import in_colour, painted, wanted
from charrnn.cli.views.whole import byte_count

if TYPE_CHECKING:
    from charrnn.config import TextConfig

# The strongest colours mean this quantile of the magnitudes, or more; a few large values do not make the others pale.
QUANTILE = 0.99
# Colours out of 256, from pale to strong and from light to dark; the last two have light ink. The middle has no colour.
_BLUE, _RED = (195, 153, 111, 33, 20), (224, 217, 210, 160, 124)
_INKS = (16, 16, 16, 231, 231)
LEVELS = len(_INKS)


def levels(values: np.ndarray, scale: float) -> np.ndarray:
    """Return the level of each value, int from -LEVELS to LEVELS: 0 if it is less than half a level from zero."""
    return np.rint(np.clip(values / scale, -1, 1) * LEVELS).astype(int)


def scale_of(values: np.ndarray) -> float:
    """Return the magnitude from which on a value has the strongest colour."""
    sizes = np.abs(values)
    return float(np.quantile(sizes, QUANTILE)) or float(sizes.max()) or 1.0


def _colour(level: int) -> str:
    if not level:
        return ""
    place = abs(level) - 1
    return f"\x1b[38;5;{_INKS[place]};48;5;{(_RED if level > 0 else _BLUE)[place]}m"


def legend(name: str, scale: float) -> str:
    """Return one line, without a line break, that shows the colours of a unit with their values."""
    marks = [(-LEVELS, -scale), (-LEVELS // 2, -scale / 2), (0, 0.0), ((LEVELS + 1) // 2, scale / 2), (LEVELS, scale)]
    return f"{name}: " + " ".join(in_colour(_colour(level), f" {value:.3g} ") for level, value in marks)


def as_characters(text: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the characters that a text of bytes encodes, each with the values after its last byte."""
    whole = text.encode("latin-1").decode("utf-8", "surrogateescape")
    return whole, values[np.cumsum([byte_count(character) for character in whole], dtype=np.intp) - 1]


def show_units(text: str, names: Sequence[str], values: np.ndarray, config: "TextConfig") -> None:
    """Print a text in the colours of each unit, one after the other; where no colours are wanted, rows.

    values: (characters, units). A row has the character, escaped, and the value of each unit, separated by tabs.
    `config` says how the text was read.
    """
    write = Writer(config.encoding, errors="replace").write
    if not wanted():
        say(f"Columns: character, {', '.join(names)}. Colours are printed only to terminals, or with FORCE_COLOR=1.")
        for low in range(0, len(text), 4096):
            rows = zip(text[low : low + 4096], values[low : low + 4096].tolist(), strict=True)
            write("".join("\t".join([shown(one, config.bytes), *map(_number, own)]) + "\n" for one, own in rows))
        return
    if config.bytes:
        text, values = as_characters(text, values)
    for name, own in zip(names, values.T, strict=True):
        scale = scale_of(own)
        say(legend(name, scale))
        found = levels(own, scale).tolist()
        before = ""
        for low in range(0, len(text), 4096):
            piece = text[low : low + 4096]
            write(painted(piece, [_colour(level) for level in found[low : low + 4096]], before))
            before = piece[-1]
        if not text.endswith("\n"):
            write("\n")


def _number(value: float) -> str:
    return f"{value:.6g}"
