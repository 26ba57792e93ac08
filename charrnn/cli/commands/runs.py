"""`charrnn runs`: lists the runs."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import as_options, printable, write_data
from charrnn.cli.views.table import aligned
from charrnn.cli.views.units import age, short, size
from charrnn.cli.views.wrapping import columns_of, tell

if TYPE_CHECKING:
    from charrnn.api.runs import Run


def runs(
    out: o.Checkpoints = None,
    cells: o.Cells = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the runs, newest first.

    Shows for each run the steps, the cell and size, how good its best checkpoint is, the age, and the size on disk. How
    good it is: the bits per character or byte or, of labels, how many are right.
    """
    from charrnn.api.runs import list_runs
    from charrnn.runs.folder import runs_folder

    found = list_runs(out)
    if as_json:
        write_data(json_text([run.to_json() for run in found], indent=2))
    elif found:
        heads = ("run", "steps", "model", "best", "trained", "on disk")
        write_data(aligned([heads, *map(_row, found)], "<><>>>", columns_of(sys.stdout), wrapping=2))
        for run in found:
            if run.why:
                tell(printable(as_options(run.why)))
    else:
        tell(f"There is no run in {printable(str(out or runs_folder()))} yet. Train one: charrnn train corpus.txt")


def _best(run: "Run") -> str:
    """Return how good a run is: its bits or, if it predicts labels, how many are right."""
    if run.best_accuracy is not None:
        return f"{run.best_accuracy:.1%} right"
    return "-" if run.best_bits_per_char is None else f"{run.best_bits_per_char:.3f} /{short(run.unit or '')}"


def _row(run: "Run") -> tuple[str, ...]:
    return (
        printable(run.name),
        "-" if run.steps is None else f"{run.steps:,}",
        run.note or (run.model.title if run.model else "-"),
        _best(run),
        age(time.time() - run.modified.timestamp()),
        size(run.bytes),
    )
