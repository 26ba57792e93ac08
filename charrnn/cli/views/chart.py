"""The losses of training runs as a chart that is drawn with characters."""

import math
from collections.abc import Iterator, Sequence

from charrnn.api.history import Losses, Series

HEIGHT, NARROWEST = 14, 60
VALIDATION, BEST, SEVERAL = "●", "★", "*"
# The marks of several runs in one chart: letters can be distinguished without colour.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# The dots of a Braille character, by row and column, as bits that are added to the code point of the blank character.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
_ROWS, _COLUMNS = len(_DOTS), len(_DOTS[0])
# SGR colour codes; a terminal chooses shades that suit its background.
_VALIDATION_COLOUR, _BEST_COLOUR, _TRAIN_COLOUR = "33", "1;33", "36"
_RUN_COLOURS = ("36", "33", "35", "32", "34", "31")

STEPS = "steps"
# Places along the x axis, with a loss at each.
Points = Sequence[tuple[float, float]]
# Characters and their colours, by row and column.
Cells = dict[tuple[int, int], tuple[str, str]]


def draw(losses: Losses, width: int, colour: bool, unit: str = "character") -> list[str]:
    """Return the lines of a chart in bits per `unit`, `width` (>= NARROWEST) columns wide; none without points."""
    points = [*losses.train, *losses.validation]
    if not points:
        return []
    axes = _Axes(points, width)
    best = [losses.best] if losses.best else []
    cells = axes.line(losses.train, _TRAIN_COLOUR)
    cells |= axes.marks(losses.validation, VALIDATION, _VALIDATION_COLOUR) | axes.marks(best, BEST, _BEST_COLOUR)
    return [_legend(losses, width, colour, unit), *axes.lines(cells, colour)]


def draw_together(
    curves: Sequence[tuple[str, Points]], width: int, colour: bool, title: str, x_label: str = STEPS
) -> list[str]:
    """Return the lines of one chart of several runs, each a name and its losses; their marks are LETTERS."""
    points = [point for _, series in curves for point in series]
    if not points:
        return []
    axes = _Axes(points, width, x_label)
    cells: Cells = {}
    marks: Cells = {}
    legend = [(title, "")]
    for number, (letter, (name, series)) in enumerate(zip(LETTERS, curves, strict=False)):
        own = _RUN_COLOURS[number % len(_RUN_COLOURS)]
        cells |= axes.line(series, own)
        placed = axes.marks(series, letter, own)
        marks |= placed | {place: (SEVERAL, "1") for place in placed.keys() & marks.keys()}
        legend.append((f"{letter} {name}", own))
    if any(mark == SEVERAL for mark, _ in marks.values()):
        legend.append((f"{SEVERAL} several", "1"))
    return [*_wrapped(legend, width, colour), *axes.lines(cells | marks, colour)]


def _wrapped(legend: list[tuple[str, str]], width: int, colour: bool) -> Iterator[str]:
    """Yield the lines of a legend; each entry is a text and the colour of its first character."""
    from rich.cells import cell_len

    line, used = "", 0
    for text, own in legend:
        length = cell_len(text)
        if line and used + 3 + length > width:
            yield line
            line, used = "", 0
        line += ("   " if line else "") + (_coloured(text[0], own, colour) + text[1:] if own else text)
        used += length + (3 if used else 0)
    yield line


class _Axes:
    """The scales of a chart of points, `width` columns wide: from 0, and from the lowest to the highest loss."""

    def __init__(self, points: Points, width: int, x_label: str = STEPS):
        self.y_low, self.y_high = span([bits for _, bits in points])
        self.x_label = x_label
        # Steps are whole numbers.
        self.x_high = max(1.0 if x_label == STEPS else 1e-9, *(x for x, _ in points))
        self.y_ticks = {row: text for row, text in ticks(self.y_low, self.y_high, HEIGHT, 6)}
        self.margin = max(map(len, self.y_ticks.values()))
        self.columns = width - self.margin - 2

    def line(self, series: Points, colour: str) -> Cells:
        return {place: (mark, colour) for place, mark in _line([self._place(*point) for point in series]).items()}

    def marks(self, series: Points, mark: str, colour: str) -> Cells:
        places = [self._place(*point) for point in series]
        return {(round(y), round(x)): (mark, colour) for x, y in places}

    def lines(self, cells: Cells, colour: bool) -> list[str]:
        lines = []
        for row in range(HEIGHT):
            tick = self.y_ticks.get(HEIGHT - 1 - row)
            marks = (cells.get((row, column), (" ", "")) for column in range(self.columns))
            drawn = "".join(_coloured(mark, own, colour) for mark, own in marks)
            lines.append(f"{tick or '':>{self.margin}} {'┤' if tick else '│'}{drawn}".rstrip())
        return lines + _x_axis(self.x_high, self.columns, self.margin, self.x_label)

    def _place(self, x: float, bits: float) -> tuple[float, float]:
        """Return the column and the row of a point, not rounded."""
        down = (self.y_high - bits) / (self.y_high - self.y_low)
        return x / self.x_high * (self.columns - 1), down * (HEIGHT - 1)


def span(values: list[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, moved apart if they are equal."""
    low, high = min(values), max(values)
    # In proportion to the values: for large ones a fixed distance would be too small.
    apart = max(1e-2, abs(high) * 1e-2)
    return (low - apart, high + apart) if high - low < apart else (low, high)


def ticks(low: float, high: float, places: int, most: int, least: float = 0.0) -> list[tuple[int, str]]:
    """Return round numbers from `low` to `high`, about `most` at most, each with the nearest one of `places` places."""
    exponent = math.floor(math.log10((high - low) / most))
    distances = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    distance = max(least, next(d for d in distances if (high - low) / d <= most))
    decimals = max(0, -math.floor(math.log10(distance)))
    values = (n * distance for n in range(math.ceil(low / distance), math.floor(high / distance) + 1))
    return [(round((value - low) / (high - low) * (places - 1)), _short(value, decimals)) for value in values]


def _short(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) < 1e8 else f"{value:.3g}"


def _line(places: list[tuple[float, float]]) -> dict[tuple[int, int], str]:
    """Return the characters, by row and column, that draw a line through some places."""
    dots = [(round(x * _COLUMNS + 0.5), round(y * _ROWS + 1.5)) for x, y in places]
    cells: dict[tuple[int, int], int] = {}
    for (x0, y0), (x1, y1) in zip(dots[:1] + dots, dots, strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for n in range(steps + 1):
            x, y = round(x0 + (x1 - x0) * n / steps), round(y0 + (y1 - y0) * n / steps)
            cell = y // _ROWS, x // _COLUMNS
            cells[cell] = cells.get(cell, 0) | _DOTS[y % _ROWS][x % _COLUMNS]
    return {cell: chr(_BLANK + dots) for cell, dots in cells.items()}


def _x_axis(x_high: float, columns: int, margin: int, x_label: str) -> list[str]:
    axis, labels = ["─"] * columns, [" "] * columns
    free = 0
    for column, text in ticks(
        0, x_high, columns, columns // (len(_short(x_high, 0)) + 8), least=1.0 if x_label == STEPS else 0.0
    ):
        axis[column] = "┬"
        begin = min(max(0, column - len(text) // 2), columns - len(text))
        if free <= begin:
            labels[begin : begin + len(text)] = text
            free = begin + len(text) + 1
    title = f" {x_label} "
    named = title.join("".join(labels).rsplit(" " * len(title), 1))
    return [" " * margin + " └" + "".join(axis), (" " * (margin + 2) + named).rstrip()]


def _legend(losses: Losses, width: int, colour: bool, unit: str) -> str:
    shown: list[tuple[str, str, Series, str]] = [
        ("⠤⠤", _TRAIN_COLOUR, losses.train, "train"),
        (VALIDATION, _VALIDATION_COLOUR, losses.validation, "validation"),
        (BEST, _BEST_COLOUR, losses.validation, "best"),
    ]
    left = f"bits per {unit}"
    marks = [(mark, own, name) for mark, own, series, name in shown if series]
    length = sum(len(mark) + len(name) + 4 for mark, _, name in marks) - 3
    drawn = "   ".join(f"{_coloured(mark, own, colour)} {name}" for mark, own, name in marks)
    return left + " " * max(2, width - len(left) - length) + drawn


def _coloured(mark: str, own: str, colour: bool) -> str:
    return f"\x1b[{own}m{mark}\x1b[0m" if colour and mark != " " else mark
