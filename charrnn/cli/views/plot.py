"""The losses of one or several training runs as a picture, drawn by matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn.api.history import Losses, Record, Series, losses, number
from charrnn.cli.console import printable
from charrnn.cli.views.picture import draw_picture
from charrnn.errors import CharRNNError

# Of its pictures (`check_picture`).
MARK = "charrnn inspect --plot"
# The same in all pictures; people who cannot distinguish red and green can distinguish blue and orange.
_TRAIN, _VALIDATION, _RATE = "tab:blue", "tab:orange", "0.45"
# For several runs: they can be distinguished in a print without colours too.
MARKERS, STYLES = "osD^vP*X", ("-", "--", ":", "-.")


def write_picture(path: Path, history: list[Record], title: str, unit: str = "character") -> None:
    """Draw losses, in bits per `unit`, and the learning rate over the steps; the path's suffix sets the format."""
    found = losses(history)
    if not found.train and not found.validation:
        raise CharRNNError(f"{title} has no training history, so there is nothing to plot.")
    draw_picture(path, lambda: _figure(history, found, title, unit), MARK)


def write_comparison(path: Path, curves: Sequence[tuple[str, Series]], loss: str, unit: str) -> None:
    """Draw the losses of several runs, each a name and its points, in one picture, with different lines and marks."""
    if not any(series for _, series in curves):
        raise CharRNNError("These runs have no training history, so there is nothing to plot.")
    draw_picture(path, lambda: _comparison(curves, loss, unit), MARK)


def _figure(history: list[Record], found: Losses, title: str, unit: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    _draw_losses(upper, found, unit)
    upper.set_title(printable(title), parse_math=False)
    rates = [(record["step"], number(record.get("learning_rate"))) for record in history]
    lower.plot(*_columns([(step, rate) for step, rate in rates if rate is not None]), color=_RATE, linewidth=1)
    lower.set_ylabel("learning rate")
    lower.set_ylim(bottom=0)
    _finish(lower, upper, lower)
    figure.align_ylabels()
    return figure


def _comparison(curves: Sequence[tuple[str, Series]], loss: str, unit: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    for place, (name, series) in enumerate(curves):
        if not series:
            continue
        step, bits = min(series, key=lambda point: point[1])
        (line,) = axes.plot(*_columns(series), linestyle=STYLES[place // len(MARKERS) % len(STYLES)])
        line.set_marker(MARKERS[place % len(MARKERS)])
        # About ten marks per line.
        line.set_markevery(max(1, len(series) // 10))
        line.set_label(f"{name.replace('$', chr(92) + '$')}: {bits:.4f} at step {step:,}")
    axes.set_title(f"{loss} loss")
    axes.set_ylabel(f"bits per {unit}")
    axes.legend(frameon=False)
    _finish(axes, axes)
    return figure


def _finish(below: Any, *all_axes: Any) -> None:
    """Label the steps along the lowest axes, and draw a grid in all axes."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    below.set_xlabel("steps")
    below.set_xlim(left=0)
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in all_axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)


def _draw_losses(axes: Any, found: Losses, unit: str) -> None:
    # A single point needs a marker: it makes no line.
    axes.plot(*_columns(found.train), color=_TRAIN, label="train", marker="." if len(found.train) == 1 else "")
    if found.best:
        few = "o" if len(found.validation) <= 100 else ""
        axes.plot(*_columns(found.validation), color=_VALIDATION, label="validation", marker=few, markersize=4)
        step, bits = found.best
        label = f"best: {bits:.4f} at step {step:,}"
        axes.plot([step], [bits], "*", color=_VALIDATION, markeredgecolor="black", markersize=14, label=label)
    axes.set_ylabel(f"bits per {unit}")
    axes.legend(frameon=False)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
