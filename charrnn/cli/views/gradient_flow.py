"""How gradients shrink on their way back through time: a table, a chart and a picture."""

import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn.api.gradient_reach import LEAST, QUANTILES, GradientFlow
from charrnn.cli.console import printable
from charrnn.cli.views.chart import LETTERS, NARROWEST, Scales, draw_together
from charrnn.cli.views.contents import WIDTH
from charrnn.cli.views.heat import wanted
from charrnn.cli.views.picture import draw_picture
from charrnn.cli.views.table import aligned
from charrnn.errors import CharRNNError

# Of its pictures (`check_picture`).
MARK = "charrnn gradflow --plot"
MOST = len(LETTERS)
_TITLE = "norm of the gradient, relative to k = 1"
# The numbers of steps back of which the table shows the norm, besides the last one.
_SHOWN = (10, 50)
_MARKED = 8
_LOW, _MEDIAN, _HIGH = QUANTILES


def check_count(count: int) -> None:
    """Raise CharRNNError if there are more networks than letters to mark them."""
    if count > MOST:
        raise CharRNNError(f"{count} networks would be shown; at most {MOST} can be compared at once.", "Name fewer.")


def shown(flows: Sequence[GradientFlow]) -> str:
    """Return the table and the chart, as wide as the terminal, in colour if stdout gets colours."""
    width = max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH
    last = flows[0].lags[-1]
    at = sorted({*(k for k in _SHOWN if k < last), last})
    rows = [("network", "reach", f"{_LOW:.0%}-{_HIGH:.0%}", "factor", "k=1", *(f"k={k}" for k in at))]
    for flow in flows:
        relative = [_number(flow.relative[_MEDIAN][k - 1]) for k in at]
        between = f"{_reach(flow, _LOW)}-{_reach(flow, _HIGH)}"
        factor = "-" if math.isnan(flow.factor) else f"{flow.factor:.3f}"
        norm = _number(flow.norms[_MEDIAN][0])
        rows.append((printable(flow.title), _reach(flow, _MEDIAN), between, factor, norm, *relative))
    table = aligned(rows, "<" + ">" * (len(rows[0]) - 1), width)
    curves = [(printable(flow.title), _curve(flow)) for flow in flows]
    chart = draw_together(curves, width, wanted(), _TITLE, Scales("steps back, k", logarithmic=True), _MARKED)
    return "\n".join(filter(None, [table, "".join(f"{line}\n" for line in chart)]))


def _reach(flow: GradientFlow, quantile: float) -> str:
    reach = flow.reaches[quantile]
    return f"{reach:,}+" if reach == flow.lags[-1] else f"{reach:,}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value == 0 or 1e-3 <= value < 1e4 else f"{value:.0e}"


def _curve(flow: GradientFlow) -> list[tuple[int, float]]:
    return list(zip(flow.lags, flow.relative[_MEDIAN], strict=True))


def write_picture(path: Path, flows: Sequence[GradientFlow]) -> None:
    """Draw the median and the other quantiles of the relative norms; the path's suffix sets the format."""
    draw_picture(path, lambda: _figure(flows), MARK)


def _figure(flows: Sequence[GradientFlow]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    colours: dict[Any, str] = {}
    for flow in flows:
        # A run's two networks have one colour.
        colour = colours.setdefault(flow.run or flow.title, f"C{len(colours) % 10}")
        name = printable(flow.title).replace("$", r"\$")
        style = "--" if flow.start and flow.run else "-"
        axes.plot(flow.lags, _drawn(flow, _MEDIAN), style, color=colour, label=name)
        axes.fill_between(flow.lags, _drawn(flow, _LOW), _drawn(flow, _HIGH), color=colour, alpha=0.15, linewidth=0)
    axes.axhline(LEAST, color="0.5", linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    top = max(value for flow in flows for value in flow.relative[_HIGH])
    axes.set_ylim(bottom=1e-8, top=max(3.0, 3 * top))
    axes.set_xlim(0, flows[0].lags[-1])
    axes.set_xlabel("steps back, k")
    axes.set_ylabel(_TITLE)
    axes.legend(frameon=False, fontsize="small")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _drawn(flow: GradientFlow, quantile: float) -> list[float]:
    """Return a curve in which no number is 0, which a logarithmic scale does not have."""
    return [max(value, 1e-300) for value in flow.relative[quantile]]
