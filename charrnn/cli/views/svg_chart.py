"""A chart of lines as SVG for a web page: it needs no script, and suits light and dark pages and narrow screens."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from charrnn.cli.console import printable
from charrnn.cli.views.chart import span, ticks

Point = tuple[float, float]

# The size of the drawing, in its own units; a page scales it.
_WIDTH, _HEIGHT = 640, 300
_RIGHT, _TOP, _BOTTOM = 14, 10, 52
# The width of a character of a label on a narrow screen, where labels are largest.
_CHARACTER = 11
_TICKS = 6
# With more points, only the lowest and the highest of each of MOST / 2 stretches are drawn: more cannot be seen.
MOST = 1200
# Up to this many points are marked and tell their values.
MARKED = 60
# Lines differ in colour and in their dashes, so that people who do not see the colours can tell them apart.
_COLOURS = 6
_DASHES = ("", "9 4", "2 3", "12 3 2 3")
# Blue, orange, green, purple, ochre and grey, with a contrast of at least 4 to 1 with the page.
_LIGHT = ("#0060a8", "#b84a00", "#00704f", "#9c2d78", "#7a5a00", "#55555f")
_DARK = ("#62aef2", "#ff9a5c", "#3fd0a5", "#ec94cf", "#e6c04a", "#b4b4c0")


def _variables(colours: Sequence[str]) -> str:
    return ";".join(f"--line{number}:{colour}" for number, colour in enumerate(colours))


# The style of all charts of a page; their text has the colour and the font of the page.
STYLE = (
    f":root{{{_variables(_LIGHT)}}}\n@media(prefers-color-scheme:dark){{:root{{{_variables(_DARK)}}}}}\n"
    ".chart{margin:1em 0;max-width:56em}.chart>svg{display:block;width:100%;height:auto}\n"
    ".chart figcaption{display:flex;flex-wrap:wrap;gap:0 2ch}.chart figcaption b{flex-basis:100%}\n"
    ".chart figcaption span{overflow-wrap:anywhere;min-width:0}\n"
    ".chart figcaption svg{width:32px;height:10px;margin-right:.7ch}\n"
    ".chart text{font-size:12px;fill:currentColor;stroke:none}.chart line{stroke:currentColor;stroke-opacity:.18}\n"
    ".chart polyline{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    "@media(max-width:640px){.chart text{font-size:18px}.chart>svg polyline{stroke-width:3}}\n"
    + "".join(
        f".chart .l{number}{{stroke:var(--line{number})}}.chart circle.l{number}{{fill:var(--line{number})}}\n"
        for number in range(_COLOURS)
    )
)


def line_chart(
    series: Sequence[tuple[str, Sequence[Point]]], x_label: str, y_label: str, title: str = "", log_y: bool = False
) -> str:
    """Return a figure of HTML with a line for each series, a name and its points (x, y) in the order of x.

    Points that are not finite are left out; with `log_y` also those that are not above 0. A page that contains charts
    needs STYLE once. Without any point the figure says that there is nothing to draw.
    """
    drawn = [(name, _finite(points, log_y)) for name, points in series]
    heading = f"<b>{_shown(title)}</b>" if title else ""
    axes = _Axes([point for _, points in drawn for point in points], log_y)
    if not axes.has_points:
        return f"<figure class=chart><figcaption>{heading}<span>nothing to draw</span></figcaption></figure>\n"
    keys = "".join(
        f"<span>{_key(number, len(points))}{_shown(name)}</span>"
        for number, (name, points) in enumerate(drawn)
        if points
    )
    lines = "\n".join(axes.line(number, name, points) for number, (name, points) in enumerate(drawn))
    return (
        f"<figure class=chart><figcaption>{heading}<span>{_shown(y_label)}</span>{keys}</figcaption>\n"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{_shown(_summary(title or y_label, drawn))}">\n'
        f"{axes.drawn(x_label)}\n{lines}\n</svg></figure>\n"
    )


class _Axes:
    """The scales of a chart: from 0, if the lowest x is near it, and from the lowest to the highest y."""

    def __init__(self, points: Sequence[Point], log_y: bool):
        self.log_y, self.has_points = log_y, bool(points)
        if not points:
            return
        xs = [x for x, _ in points]
        low, high = min(xs), max(xs)
        self.x_low, self.x_high = span([0.0 if 0 <= low <= high / 2 else low, high])
        self.y_low, self.y_high = span([self._scaled(y) for _, y in points])
        self.height = _HEIGHT - _TOP - _BOTTOM
        self.y_ticks = list(self._logarithmic() if log_y else ticks(self.y_low, self.y_high, self.height + 1, _TICKS))
        self.left = 8 + _CHARACTER * max((len(text) for _, text in self.y_ticks), default=1)
        self.width = _WIDTH - self.left - _RIGHT

    def drawn(self, x_label: str) -> str:
        """Return the ticks and labels of both axes."""
        floor = _TOP + self.height
        rows = [
            f"<line x1={self.left} x2={_WIDTH - _RIGHT} y1={floor - up} y2={floor - up} />"
            f'<text x={self.left - 6} y={floor - up} dy=".35em" text-anchor=end>{text}</text>'
            for up, text in self.y_ticks
        ]
        least = 1.0 if self.x_high >= _TICKS else 0.0
        for right, text in ticks(self.x_low, self.x_high, self.width + 1, _TICKS, least):
            x = self.left + right
            # The first and the last label would leave the drawing.
            anchor = "end" if right > self.width - _CHARACTER * len(text) / 2 else "middle"
            rows.append(
                f"<line x1={x} x2={x} y1={_TOP} y2={floor} />"
                f"<text x={x} y={floor + 22} text-anchor={anchor}>{text}</text>"
            )
        name = f"<text x={_WIDTH - _RIGHT} y={_HEIGHT - 6} text-anchor=end>{_shown(x_label)}</text>"
        return "\n".join([*rows, name])

    def line(self, number: int, name: str, points: Sequence[Point]) -> str:
        """Return the line of a series; each of a few points tells its values when the pointer is on it."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._place, thinned(points)))
        path = f'<polyline class=l{number % _COLOURS}{_dash(number)} points="{places}"/>' if len(points) > 1 else ""
        if len(points) > MARKED:
            return path
        radius = 3 if len(points) > 1 else 5
        marks = (
            f'<circle class=l{number % _COLOURS} cx="{x:.1f}" cy="{y:.1f}" r={radius}><title>{_shown(name)}: '
            f"{point[1]:.4g} at {point[0]:,.6g}</title></circle>"
            for point in points
            for x, y in [self._place(point)]
        )
        return path + "".join(marks)

    def _place(self, point: Point) -> Point:
        x, y = point[0], self._scaled(point[1])
        right = (x - self.x_low) / (self.x_high - self.x_low) * self.width
        down = (self.y_high - y) / (self.y_high - self.y_low) * self.height
        return self.left + right, _TOP + down

    def _scaled(self, y: float) -> float:
        return math.log10(y) if self.log_y else y

    def _logarithmic(self) -> Iterator[tuple[int, str]]:
        """Yield powers of ten or, if the axis has few of them, also 2 and 5 times these; each with its height."""
        low, high = math.floor(self.y_low), math.ceil(self.y_high)
        apart = max(1, -(-(high - low) // _TICKS))
        factors = (1, 2, 5) if self.y_high - self.y_low < 2 else (1,)
        for power in range(low, high + 1, apart):
            for factor in factors:
                place = (math.log10(factor) + power - self.y_low) / (self.y_high - self.y_low)
                if 0 <= place <= 1:
                    yield round(place * self.height), f"{factor * 10.0**power:g}"


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Return at most about MOST points: of each stretch the lowest and the highest, in their order."""
    if len(points) <= MOST:
        return points
    each = math.ceil(2 * len(points) / MOST)
    kept: list[Point] = []
    for begin in range(0, len(points), each):
        stretch = range(begin, min(begin + each, len(points)))
        extremes = {min(stretch, key=lambda at: points[at][1]), max(stretch, key=lambda at: points[at][1])}
        kept += [points[at] for at in sorted(extremes)]
    return kept


def _finite(points: Sequence[Point], above_zero: bool) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not above_zero)]


def _key(number: int, count: int) -> str:
    """Return what is drawn before the name of a series of `count` points: a piece of its line, or its only point."""
    line = f'<polyline class=l{number % _COLOURS}{_dash(number)} points="1,5 31,5"/>'
    point = f"<circle class=l{number % _COLOURS} cx=16 cy=5 r=4 />"
    return f'<svg viewBox="0 0 32 10" aria-hidden=true>{line if count > 1 else point}</svg>'


def _dash(number: int) -> str:
    dash = _DASHES[number % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _summary(title: str, drawn: Sequence[tuple[str, Sequence[Point]]]) -> str:
    """Return what a chart shows, for people who hear the page."""
    ends = (f"{name} from {points[0][1]:.4g} to {points[-1][1]:.4g}" for name, points in drawn if points)
    return f"{title}: {'; '.join(ends)}"


def _shown(text: str) -> str:
    return escape(printable(text))
