"""The losses of a training run as a chart of characters."""

import math

from charrnn.api.history import Losses, Series

HEIGHT, NARROWEST = 14, 60
VALIDATION, BEST = "●", "★"
# The dots of a Braille character, by row and column: bits that are added to the code point of the blank one.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK = 0x2800
_ROWS, _COLUMNS = len(_DOTS), len(_DOTS[0])
_COLOURS = {VALIDATION: "33", BEST: "1;33"}
_TRAIN_COLOUR = "36"


def draw(losses: Losses, width: int, colour: bool, unit: str = "character") -> list[str]:
    """Return the lines of a chart, of bits a `unit`, at most `width` wide, from NARROWEST on; none without a point."""
    points = [*losses.train, *losses.validation]
    if not points:
        return []
    y_low, y_high = _span([bits for _, bits in points])
    x_high = max(1, *(step for step, _ in points))
    y_ticks = {row: text for row, text in _ticks(y_low, y_high, HEIGHT, 6)}
    margin = max(map(len, y_ticks.values()))
    columns = width - margin - 2

    def place(step: int, bits: float) -> tuple[float, float]:
        return step / x_high * (columns - 1), (y_high - bits) / (y_high - y_low) * (HEIGHT - 1)

    cells = _line([place(*point) for point in losses.train])
    for symbol, series in ((VALIDATION, losses.validation), (BEST, [losses.best] if losses.best else [])):
        for point in series:
            x, y = place(*point)
            cells[round(y), round(x)] = symbol
    lines = [_legend(losses, width, colour, unit)]
    for row in range(HEIGHT):
        tick = y_ticks.get(HEIGHT - 1 - row)
        drawn = "".join(_coloured(cells.get((row, column), " "), colour) for column in range(columns))
        lines.append(f"{tick or '':>{margin}} {'┤' if tick else '│'}{drawn}".rstrip())
    return lines + _x_axis(x_high, columns, margin)


def _span(values: list[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, moved apart where they are equal."""
    low, high = min(values), max(values)
    # Of numbers as large as these 1 is nothing.
    apart = max(1e-2, abs(high) * 1e-2)
    return (low - apart, high + apart) if high - low < apart else (low, high)


def _ticks(low: float, high: float, places: int, most: int, least: float = 0.0) -> list[tuple[int, str]]:
    """Return round numbers from `low` to `high`, at most about `most`, each with the nearest of `places`."""
    exponent = math.floor(math.log10((high - low) / most))
    distances = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    distance = max(least, next(d for d in distances if (high - low) / d <= most))
    decimals = max(0, -math.floor(math.log10(distance)))
    values = (n * distance for n in range(math.ceil(low / distance), math.floor(high / distance) + 1))
    return [(round((value - low) / (high - low) * (places - 1)), _short(value, decimals)) for value in values]


def _short(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) < 1e8 else f"{value:.3g}"


def _line(places: list[tuple[float, float]]) -> dict[tuple[int, int], str]:
    """Return the characters, by row and column, of the line through some places."""
    dots = [(round(x * _COLUMNS + 0.5), round(y * _ROWS + 1.5)) for x, y in places]
    cells: dict[tuple[int, int], int] = {}
    for (x0, y0), (x1, y1) in zip(dots[:1] + dots, dots, strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for n in range(steps + 1):
            x, y = round(x0 + (x1 - x0) * n / steps), round(y0 + (y1 - y0) * n / steps)
            cell = y // _ROWS, x // _COLUMNS
            cells[cell] = cells.get(cell, 0) | _DOTS[y % _ROWS][x % _COLUMNS]
    return {cell: chr(_BLANK + dots) for cell, dots in cells.items()}


def _x_axis(x_high: int, columns: int, margin: int) -> list[str]:
    axis, labels = ["─"] * columns, [" "] * columns
    free = 0
    for column, text in _ticks(0, x_high, columns, columns // (len(_short(x_high, 0)) + 8), least=1.0):
        axis[column] = "┬"
        begin = min(max(0, column - len(text) // 2), columns - len(text))
        if free <= begin:
            labels[begin : begin + len(text)] = text
            free = begin + len(text) + 1
    title = " steps "
    named = title.join("".join(labels).rsplit(" " * len(title), 1))
    return [" " * margin + " └" + "".join(axis), (" " * (margin + 2) + named).rstrip()]


def _legend(losses: Losses, width: int, colour: bool, unit: str) -> str:
    shown: list[tuple[str, Series | None, str]] = [
        ("⠤⠤", losses.train, "train"),
        (VALIDATION, losses.validation, "validation"),
        (BEST, losses.validation, "best"),
    ]
    left = f"bits per {unit}"
    marks = [(mark, name) for mark, series, name in shown if series]
    length = sum(len(mark) + len(name) + 4 for mark, name in marks) - 3
    drawn = "   ".join(f"{_coloured(mark, colour)} {name}" for mark, name in marks)
    return left + " " * max(2, width - len(left) - length) + drawn


def _coloured(mark: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS.get(mark, _TRAIN_COLOUR)}m{mark}\x1b[0m" if colour and mark != " " else mark
