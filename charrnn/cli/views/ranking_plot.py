"""The losses of the candidates of a comparison as a picture, drawn by matplotlib."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.views.picture import draw_picture
from charrnn.cli.views.plot import MARKERS, STYLES
from charrnn.cli.views.ranking import charts
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.comparison import Comparison

# Of its pictures (`check_picture`).
MARK = "charrnn compare --plot"


def write_ranking(path: Path, comparison: "Comparison") -> None:
    """Draw the losses over minutes, characters and, if candidates differ in size, parameters, side by side."""
    if not list(charts(comparison)):
        raise CharRNNError("No run has a loss yet, so there is nothing to plot.")
    draw_picture(path, lambda: _figure(comparison), MARK)


def _figure(comparison: "Comparison") -> Any:
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    panels = list(charts(comparison))
    figure = Figure(figsize=(1 + 5 * len(panels), 4.8), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    numbers = {row.name: number for number, row in enumerate(comparison.rows)}
    for axes, (x_label, curves) in zip(all_axes, panels, strict=True):
        for name, points in curves:
            number = numbers.get(name, 0)
            (line,) = axes.plot(*zip(*points, strict=True), STYLES[number // len(MARKERS) % len(STYLES)])
            line.set_color(f"C{number % 10}")
            line.set_marker(MARKERS[number % len(MARKERS)])
            line.set_markevery(max(1, len(points) // 10))
            line.set_label(name.replace("$", "\\$"))
        axes.set_xlabel(x_label)
        axes.set_xlim(left=0)
        if x_label != "minutes":
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.tick_params(axis="x", labelrotation=20)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    all_axes[0].set_ylabel(f"validation loss, bits per {comparison.unit}")
    all_axes[0].legend(frameon=False)
    return figure
