"""What a probe found, as tables; and the progress of reading its texts."""

import math
from typing import TYPE_CHECKING

from charrnn.cli.console import printable, say
from charrnn.cli.views.confusion import confusion, short_label
from charrnn.cli.views.reading import Drawing
from charrnn.cli.views.table import aligned

if TYPE_CHECKING:
    from charrnn.api.measures import Area
    from charrnn.api.probe_report import ProbedUnit, ProbeReport, Rating

# So many of the strongest units are shown.
UNITS = 10


class TextsRead(Drawing):
    """Shows how many texts have been read, in the same way as `Reading` shows bytes."""

    def __init__(self) -> None:
        super().__init__("Reading texts")

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` texts have been read; after the last one, say what takes the rest of the time."""
        super().show(done, total)
        if done == total:
            say(f"{done:,} texts were read. Fitting the probe and what it is compared with …")


def shown(report: "ProbeReport") -> str:
    """Return the whole report."""
    sections = [_sizes(report), _ratings(report), confusion(report.confusion, report.true_labels), _units(report)]
    return "\n".join(sections)


def _sizes(report: "ProbeReport") -> str:
    width = f"{report.width:,} numbers"
    if report.used < report.width:
        width += f", of which {report.used:,} have a weight"
    return (
        f"{report.texts:,} texts to train on, {report.held_out:,} held out, {len(report.labels):,} labels.\n"
        f"Each text is a vector of {width} (penalty {report.penalty}, C = {report.probe.c:g}).\n"
    )


def _ratings(report: "ProbeReport") -> str:
    """Return the figures of the held-out texts: of the probe, and of what it is compared with."""
    rows = [["HELD-OUT TEXTS", "ACCURACY", "95 % INTERVAL", "AUC", "95 % INTERVAL"]]
    rows += [
        _rating("probe", report.probe),
        _rating(f"one unit alone: {_name(report.best_unit, report)}", report.one_unit),
    ]
    if report.ngrams is not None:
        rows.append(_rating("no model: n-grams of characters", report.ngrams))
    rows.append(_rating(f"no model: always {short_label(report.majority_label)}", report.majority))
    return aligned(rows, "<>>>>")


def _rating(what: str, rating: "Rating") -> list[str]:
    low, high = rating.accuracy.interval
    return [what, f"{rating.accuracy.value:.2%}", f"{low:.1%} to {high:.1%}", *_area(rating.auc)]


def _area(area: "Area | None") -> list[str]:
    if area is None or math.isnan(area.value):
        return ["-", "-"]
    return [f"{area.value:.4f}", f"{area.low:.3f} to {area.high:.3f}"]


def _units(report: "ProbeReport") -> str:
    rows = [["STRONGEST UNITS", "WEIGHT", "LABEL"]]
    for unit in report.units[:UNITS]:
        rows.append([_name(unit, report), f"{unit.weight:+.4f}", short_label(unit.label)])
    return aligned(rows, "<><")


def _name(unit: "ProbedUnit", report: "ProbeReport") -> str:
    """Return the name of a unit, with its run if there are several, and with its half of the vector if it has two."""
    parts = [printable(unit.run) if len(report.runs) > 1 else "", unit.part or "", unit.unit]
    return " ".join(filter(None, parts))
