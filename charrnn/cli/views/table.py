"""Tables of text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Return rows as lines of columns, each aligned to one of `sides`: "<" for words, ">" for numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
