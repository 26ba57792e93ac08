"""Tables of text."""

from collections.abc import Sequence

from charrnn.cli.views.wrapping import cells, wrapped

_GAP = "  "


def aligned(rows: Sequence[Sequence[str]], sides: str, columns: int | None = None, wrapping: int = 0) -> str:
    """Return rows as lines of columns; `sides` has the alignment of each column: "<" for words, ">" for numbers.

    If lines would be longer than `columns` (None: any length is allowed), the cells of the column `wrapping` are broken
    between words. A first cell that is still too long gets its own line. Nothing is cut off.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    if columns is not None:
        over = max(0, sum(widths) + len(_GAP) * (len(widths) - 1) - columns)
        longest_word = max((cells(word) for row in rows for word in row[wrapping].split()), default=0)
        less = min(over, widths[wrapping] - longest_word)
        widths[wrapping] -= less
        widths[0] -= min(over - less, widths[0] - cells(rows[0][0]))
    return "".join(line.rstrip() + "\n" for row in rows for line in _lines(row, sides, widths, wrapping))


def _lines(row: Sequence[str], sides: str, widths: Sequence[int], wrapping: int) -> list[str]:
    """Return the lines of a row."""
    parts = [list(wrapped(cell, widths[place])) if place == wrapping else [cell] for place, cell in enumerate(row)]
    if cells(row[0]) > widths[0]:
        # The first cell has its own line, and the others are below it.
        return [row[0], *_lines(["", *row[1:]], sides, widths, wrapping)]
    height = max(map(len, parts))
    full = [[*part, *[""] * (height - len(part))] for part in parts]
    return [_GAP.join(map(_padded, line, sides, widths)) for line in zip(*full, strict=True)]


def _padded(cell: str, side: str, width: int) -> str:
    space = " " * (width - cells(cell))
    return cell + space if side == "<" else space + cell
