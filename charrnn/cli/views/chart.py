"""Charts that are drawn with characters: of the losses of training runs, and of other curves."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from charrnn.api.history import Losses, Series

HEIGHT, NARROWEST = 14, 60
# Below the highest value, a logarithmic scale has at most so many decades: a curve of more would flatten all others.
DECADES = 8
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

# Places along the x axis, with a value at each.
Points = Sequence[tuple[float, float]]
# Characters and their colours, by row and column.
Cells = dict[tuple[int, int], tuple[str, str]]


class Scales(NamedTuple):
    """What the axes of a chart show.

    x: the name of the horizontal one. logarithmic: whether the vertical one is. whole: whether the horizontal one has
    whole numbers only.
    """

    x: str = "steps"
    logarithmic: bool = False
    whole: bool = True

    def placed(self, series: Points) -> Points:
        """Return points as they are placed on linear axes; a logarithmic one shows no number that is not positive."""
        return [(x, math.log10(y)) for x, y in series if y > 0] if self.logarithmic else series


_LINEAR = Scales()


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
    curves: Sequence[tuple[str, Points]],
    width: int,
    colour: bool,
    title: str,
    scales: Scales = _LINEAR,
    marked: int | None = None,
) -> list[str]:
    """Return the lines of one chart of several curves, each a name and its points; their marks are LETTERS.

    marked: how many points of each curve have its mark, about; None: all. On a logarithmic scale points that are more
    than DECADES below the highest one are left out.
    """
    named = [(name, scales.placed(series)) for name, series in curves]
    points = [point for _, series in named for point in series]
    if not points:
        return []
    if scales.logarithmic:
        lowest = max(y for _, y in points) - DECADES
        named = [(name, [point for point in series if point[1] >= lowest]) for name, series in named]
        points = [point for point in points if point[1] >= lowest]
    axes = _Axes(points, width, scales)
    cells: Cells = {}
    marks: Cells = {}
    legend = [(title, "")]
    for number, (letter, (name, series)) in enumerate(zip(LETTERS, named, strict=False)):
        own = _RUN_COLOURS[number % len(_RUN_COLOURS)]
        cells |= axes.line(series, own)
        placed = axes.marks(_some(series, marked, number, len(named)), letter, own)
        marks |= placed | {place: (SEVERAL, "1") for place in placed.keys() & marks.keys()}
        legend.append((f"{letter} {name}", own))
    if any(mark == SEVERAL for mark, _ in marks.values()):
        legend.append((f"{SEVERAL} several", "1"))
    return [*_wrapped(legend, width, colour), *axes.lines(cells | marks, colour)]


def _some(series: Points, marked: int | None, number: int, curves: int) -> Points:
    """Return the points of curve `number` that are marked; those of several curves are not below each other."""
    if marked is None or len(series) <= marked:
        return series
    distance = len(series) // marked
    return series[distance * number // curves :: distance]


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
    """The axes of a chart of points, `width` columns wide: from 0, and from the lowest to the highest value."""

    def __init__(self, points: Points, width: int, scales: Scales = _LINEAR):
        self.scales = scales
        self.y_low, self.y_high = span([y for _, y in points])
        self.x_high = max(1.0 if scales.whole else 1e-9, *(x for x, _ in points))
        marks = _decades if scales.logarithmic and self.y_high - self.y_low >= 1 else _values
        self.y_ticks = dict(marks(self.y_low, self.y_high, scales))
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
        return lines + _x_axis(self.x_high, self.columns, self.margin, self.scales)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """Return the column and the row of a point, not rounded."""
        down = (self.y_high - y) / (self.y_high - self.y_low)
        return x / self.x_high * (self.columns - 1), down * (HEIGHT - 1)


def span(values: list[float], least: float = 1e-2) -> tuple[float, float]:
    """Return the lowest and the highest value, moved apart by at least this distance if they are equal."""
    low, high = min(values), max(values)
    # In proportion to the values: for large ones a fixed distance would be too small.
    apart = max(least, abs(high) * 1e-2)
    return (low - apart, high + apart) if high - low < apart else (low, high)


def _values(low: float, high: float, scales: Scales) -> list[tuple[int, str]]:
    """Return ticks of the vertical axis, each with its row from below, at round numbers."""
    if scales.logarithmic:
        return [(round((y - low) / (high - low) * (HEIGHT - 1)), f"{10**y:.2g}") for y in (low, (low + high) / 2, high)]
    return ticks(low, high, HEIGHT, 6)


def _decades(low: float, high: float, scales: Scales) -> list[tuple[int, str]]:
    """Return ticks of a logarithmic axis at powers of ten."""
    exponents = range(math.ceil(low), math.floor(high) + 1)
    apart = -(-len(exponents) // 8)
    few = [exponent for exponent in exponents if exponent % apart == 0]
    # Rounded as places of points are, from above.
    return [(HEIGHT - 1 - round((high - y) / (high - low) * (HEIGHT - 1)), f"{10.0**y:g}") for y in few]


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


def _x_axis(x_high: float, columns: int, margin: int, scales: Scales) -> list[str]:
    axis, labels = ["─"] * columns, [" "] * columns
    free = 0
    most = columns // (len(_short(x_high, 0)) + 8)
    for column, text in ticks(0, x_high, columns, most, least=1.0 if scales.whole else 0.0):
        axis[column] = "┬"
        begin = min(max(0, column - len(text) // 2), columns - len(text))
        if free <= begin:
            labels[begin : begin + len(text)] = text
            free = begin + len(text) + 1
    title = f" {scales.x} "
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
