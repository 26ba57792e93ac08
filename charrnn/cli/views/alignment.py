"""The attention of a model on the terminal: a row for each character that it wrote, a column for each it looked at."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.cli.console import printable, say
from charrnn.cli.views.wrapping import cells, columns_of

if TYPE_CHECKING:
    from charrnn.api.alignment import Alignment

# A weight is shown by the last of these that it reaches.
_SHADES = ((0.0, " "), (0.1, "░"), (0.3, "▒"), (0.5, "▓"), (0.8, "█"))
_MARKS = {"\n": "↵", "\t": "→"}
# The columns before a row: the character, and spaces around it.
_MARGIN = 5


def mark(character: str) -> str:
    """Return a character as it is shown in one place: a mark for one that is invisible or combines with others."""
    shown = _MARKS.get(character, printable(character))
    return shown if cells(shown) in (1, 2) and len(shown) == 1 else "·"


def shade(weight: float) -> str:
    """Return the character that shows a weight."""
    return next(shown for least, shown in reversed(_SHADES) if weight >= least)


def drawn(alignment: "Alignment", line: int) -> Iterator[str]:
    """Yield the rows of an alignment; nothing but a message if it is wider than the terminal."""
    marks = [mark(character) for character in alignment.source]
    # If one character is wide, as those of Chinese are, all columns are.
    width = max(map(cells, marks), default=1)
    columns = columns_of(sys.stdout)
    if columns is not None and _MARGIN + width * len(marks) > columns:
        say(
            f"Line {line:,} is wider than the terminal. charrnn score --attention FILE.html shows it as a page; "
            "--jsonl prints the numbers."
        )
        return
    yield " " * _MARGIN + "".join(shown + " " * (width - cells(shown)) for shown in marks)
    for character, weights in zip(alignment.target, alignment.weights.tolist(), strict=True):
        shown = mark(character)
        head = f"  {shown}{' ' * (_MARGIN - 2 - cells(shown))}"
        yield (head + "".join(shade(weight) * width for weight in weights)).rstrip(" ")
