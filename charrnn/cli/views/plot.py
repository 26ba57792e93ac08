"""The losses of one or several training runs as a picture, drawn by matplotlib."""

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from charrnn.api.history import Losses, Record, Series, losses, number
from charrnn.atomic import check_replaceable, replacing
from charrnn.cli.console import printable
from charrnn.errors import CharRNNError

SUFFIXES = (".png", ".svg", ".pdf")
# The metadata of our pictures contain this, so that they can be recognized.
_MARK = "charrnn inspect --plot"
# The same in all pictures; people who cannot distinguish red and green can distinguish blue and orange.
_TRAIN, _VALIDATION, _RATE = "tab:blue", "tab:orange", "0.45"
# For several runs: they can be distinguished in a print without colours too.
_MARKERS, _STYLES = "osD^vP*X", ("-", "--", ":", "-.")


def check_picture(path: Path) -> None:
    """Raise CharRNNError if no picture can be written to this path; called before anything is read."""
    if path.suffix.lower() not in SUFFIXES:
        raise CharRNNError(f"--plot {path}: the name of a picture must end with one of {', '.join(SUFFIXES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CharRNNError(
            "--plot needs matplotlib, which is not installed.", hint="Install it: pip install 'charrnn[plot]'"
        ) from None
    try:
        check_replaceable(path, "picture", lambda before: _MARK.encode() in before.read_bytes())
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> CharRNNError:
    return CharRNNError(
        f"The picture cannot be written to {path}: {error.strerror or error}.",
        hint="Name a file in a folder that exists and is writeable.",
    )


def write_picture(path: Path, history: list[Record], title: str, unit: str = "character") -> None:
    """Draw losses, in bits per `unit`, and the learning rate over the steps; the path's suffix sets the format."""
    found = losses(history)
    if not found.train and not found.validation:
        raise CharRNNError(f"{title} has no training history, so there is nothing to plot.")
    _write(path, lambda: _figure(history, found, title, unit))


def write_comparison(path: Path, curves: Sequence[tuple[str, Series]], loss: str, unit: str) -> None:
    """Draw the losses of several runs, each a name and its points, in one picture, with different lines and marks."""
    if not any(series for _, series in curves):
        raise CharRNNError("These runs have no training history, so there is nothing to plot.")
    _write(path, lambda: _comparison(curves, loss, unit))


def _write(path: Path, draw: Callable[[], Any]) -> None:
    import matplotlib

    # Text is stored as text in an SVG, and the same history gives the same file.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "charrnn"}
    settings |= {f"figure.constrained_layout.{side}_pad": 0.12 for side in "wh"}
    kind = path.suffix.lower()[1:]
    with matplotlib.rc_context(settings), warnings.catch_warnings(), io.BytesIO() as picture:
        # The font may lack a character of a run's name; then a box is drawn.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        undated = {} if kind == "png" else {"Date" if kind == "svg" else "CreationDate": None}
        about = {"Software" if kind == "png" else "Creator": _MARK, **undated}
        draw().savefig(picture, format=kind, dpi=150, metadata=about)
        data = picture.getvalue()
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise _not_written(path, error) from error


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
        (line,) = axes.plot(*_columns(series), linestyle=_STYLES[place // len(_MARKERS) % len(_STYLES)])
        line.set_marker(_MARKERS[place % len(_MARKERS)])
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
