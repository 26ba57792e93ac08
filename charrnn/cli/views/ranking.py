"""The result of a comparison as text: a table of the ranked candidates, which of them tie, and their losses."""

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.cli.console import as_options, printable
from charrnn.cli.views.chart import NARROWEST, Scales, draw_together
from charrnn.cli.views.contents import WIDTH
from charrnn.cli.views.heat import wanted
from charrnn.cli.views.table import aligned
from charrnn.cli.views.units import short
from charrnn.cli.views.wrapping import cells, wrapped

if TYPE_CHECKING:
    from charrnn.api.comparison import Comparison, Row

Curves = list[tuple[str, list[tuple[float, float]]]]
# Columns that are left out on a narrow terminal, the first one first.
_OPTIONAL = ("SECONDS", "STEPS", "UNITS", "CHARS/S", "PARAMETERS")


def shown(comparison: "Comparison") -> str:
    """Return the whole output, as wide as the terminal."""
    terminal = sys.stdout.isatty()
    width = max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns) if terminal else WIDTH
    notes = [line for note in remarks(comparison) for line in wrapped(note, width)]
    sections = [_table(comparison, width), "".join(f"{line}\n" for line in notes)]
    for x_label, curves in charts(comparison):
        chart = draw_together(
            curves, width, wanted(), f"bits per {comparison.unit} over {x_label}", Scales(x_label, whole=False)
        )
        sections.append("".join(f"{line}\n" for line in chart))
    return "\n".join(filter(None, sections))


def charts(comparison: "Comparison") -> Iterator[tuple[str, Curves]]:
    """Yield what is drawn over the x axis: the losses over the minutes and characters of training, and over the size.

    The curves of candidates are means over their seeds. A chart with nothing to show is left out.
    """
    for x in ("minutes", "characters"):
        curves = [(printable(row.name), row.curve(x)) for row in comparison.rows]
        if any(curve for _, curve in curves):
            yield x, [(name, curve) for name, curve in curves if curve]
    sizes = [
        (printable(row.name), [(float(row.parameters), row.bits_per_char)])
        for row in comparison.rows
        if row.parameters is not None and row.bits_per_char is not None
    ]
    counts = [curve[0][0] for _, curve in sizes]
    # Candidates of equal size would be one above another.
    if counts and max(counts) > 1.1 * min(counts):
        yield "parameters", sizes


def remarks(comparison: "Comparison") -> Iterator[str]:
    """Yield what must be known of the ranking: ties, what is left out, and failures."""
    ranked = [row for row in comparison.rows if row.rank is not None]
    for names in comparison.tied():
        these = f"{', '.join(map(printable, names[:-1]))} and {printable(names[-1])}"
        yield f"A tie: the differences between {these} may be chance."
    if len(ranked) > 1 and not comparison.has_spread:
        if len(comparison.seeds) == 1:
            yield "With one seed the spread is not known: differences may be chance. --seeds 3 would tell."
        else:
            yield "No candidate has two runs yet: the spread is not known, and differences may be chance."
    for row in comparison.rows:
        if row.failure is not None:
            yield f"{printable(row.name)}: {printable(as_options(row.failure))}"
        elif row.rank is None:
            yield f"{printable(row.name)} is not trained yet."


def heads(comparison: "Comparison") -> tuple[str, ...]:
    """Return the heads of the columns of `figures`."""
    measure = "RIGHT" if comparison.unit == "label" else f"BITS/{short(comparison.unit).upper()}"
    return ("RANK", "CANDIDATE", "UNITS", "PARAMETERS", measure, "±", "STEPS", "CHARS/S", "SECONDS")


def figures(comparison: "Comparison", row: "Row") -> tuple[str, ...]:
    """Return the row of a candidate; what is not known is a dash."""
    measure, spread = row.bits_per_char, row.spread
    digits, scale, sign = (2, 100, " %") if comparison.unit == "label" else (4, 1, "")
    if comparison.unit == "label":
        measure = row.accuracy
    return (
        "-" if row.rank is None else str(row.rank),
        printable(row.name),
        f"{row.units:,}" if row.parameters is not None else "-",
        _number(row.parameters),
        "-" if measure is None else f"{scale * measure:.{digits}f}{sign}",
        "-" if spread is None else f"{scale * spread:.{digits}f}",
        _number(row.steps),
        _number(row.characters_per_second),
        _number(row.seconds),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _table(comparison: "Comparison", width: int) -> str:
    rows = [heads(comparison), *(figures(comparison, row) for row in comparison.rows)]
    kept = list(range(len(rows[0])))
    for name in _OPTIONAL:
        widths = [max(cells(row[place]) for row in rows) for place in kept]
        if sum(widths) + 2 * (len(widths) - 1) > width:
            kept.remove(rows[0].index(name))
    sides = "".join("<" if place == 1 else ">" for place in kept)
    return aligned([[row[place] for place in kept] for row in rows], sides, width, wrapping=1)
