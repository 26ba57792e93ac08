"""Tables of text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Return rows as lines of columns, each aligned to one of `sides`: "<" for words, ">" for numbers."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(_padded(*cell) for cell in zip(row, sides, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)


def _padded(cell: str, side: str, width: int) -> str:
    space = " " * (width - _width(cell))
    return cell + space if side == "<" else space + cell


def _width(cell: str) -> int:
    """Return how many columns of a terminal a text takes: some characters take two, others none."""
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)
