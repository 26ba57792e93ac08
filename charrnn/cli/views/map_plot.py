"""A map of lines as a picture, drawn by matplotlib."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.cli.console import printable
from charrnn.cli.views.picture import draw_picture

if TYPE_CHECKING:
    from charrnn.api.mapping import Map

# Of its pictures (`check_picture`).
MARK = "charrnn map --plot"
# The legend names at most as many labels as there are marks, which differ in a print without colours too.
_MARKS = "os^DvP*X<>"
_OTHERS, _OTHER_COLOUR = ".", "0.7"
# A name in the legend has at most this many characters.
_LONGEST = 30
# Points are drawn in so many rounds of all labels, so that no label covers the others.
_ROUNDS = 12
_NAMES = {"pca": "PCA", "tsne": "t-SNE"}


def draw_map(path: Path, found: "Map", labels: Sequence[str] | None, method: str, source: str) -> None:
    """Draw a map; points have the colours and the marks of their labels. The path's suffix sets the format."""
    draw_picture(path, lambda: _figure(found, labels, method, source), MARK)


def groups(labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the places of the texts with each label of the legend, in alphabetical order.

    If there are too many labels, the most frequent ones are named, and "" means all others.
    """
    counts = Counter(labels)
    frequent = [label for label, _ in counts.most_common()]
    named = sorted(frequent if len(frequent) <= len(_MARKS) else frequent[: len(_MARKS) - 1])
    array = np.array(labels, object)
    found = {label: np.flatnonzero(array == label) for label in named}
    others = np.flatnonzero(~np.isin(array, named))
    return {**found, "": others} if len(others) else found


def _figure(found: "Map", labels: Sequence[str] | None, method: str, source: str) -> Any:
    from matplotlib.figure import Figure

    count = len(found.points)
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    few = count < 3000
    how: dict[str, Any] = {
        "s": float(np.clip(60_000 / count, 8, 30)),
        "alpha": 0.8 if few else 0.6,
        "linewidths": 0.3 if few else 0,
        "edgecolors": "white",
        # Many marks would make a large file.
        "rasterized": not few,
    }
    if labels is None:
        axes.scatter(*found.points.T, marker="o", **how)
    else:
        _draw_groups(axes, found.points, groups(labels), how)
    axes.set_title(f"{source}: {count:,} lines, {_NAMES[method]}", parse_math=False)
    if found.shares is None:
        # The distances of t-SNE have no unit.
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        axes.set_xlabel(f"first principal component, {found.shares[0]:.0%} of the variance")
        axes.set_ylabel(f"second principal component, {found.shares[1]:.0%} of the variance")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.set_aspect("equal", adjustable="datalim")
    return figure


def _draw_groups(axes: Any, points: np.ndarray, by_label: dict[str, np.ndarray], how: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    looks: dict[str, dict[str, Any]] = {
        label: {"marker": _OTHERS, "color": _OTHER_COLOUR} if label == "" else {"marker": mark, "color": f"C{number}"}
        for number, (label, mark) in enumerate(zip(by_label, _MARKS, strict=False))
    }
    for turn in range(_ROUNDS):
        for label, places in by_label.items():
            axes.scatter(*points[places[turn::_ROUNDS]].T, **looks[label], **how)
    handles = [Line2D([], [], linestyle="", markersize=6, **look) for look in looks.values()]
    legend = axes.figure.legend(handles, ["label"] * len(handles), loc="outside right upper", frameon=False)
    # A label may begin with _ or contain $, which mean something to matplotlib.
    for text, (label, places) in zip(legend.get_texts(), by_label.items(), strict=True):
        text.set_parse_math(False)
        text.set_text(f"{shortened(label) if label else 'others'} ({len(places):,})")


def shortened(label: str) -> str:
    """Return a label as the legend shows it."""
    shown = printable(label)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
