"""`charrnn inspect`: shows the content of a checkpoint, or compares runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import tell_which
from charrnn.cli.console import printable, say, write_data


def inspect(
    runs: o.RunsOrFiles = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Also draw the training history: .png, .svg or .pdf.", show_default=False
        ),
    ] = None,
    cells: o.Cells = None,
    as_json: o.AsJson = False,
) -> None:
    """Show the content of a checkpoint, and compare runs.

    Shows the model, its parameters, the characters that it knows, the settings, and the losses during training. Several
    runs are compared in a table, with the settings in which they differ, and with their validation losses in one chart;
    --json then prints a list.
    """
    from charrnn.api.inspection import inspect as inspected
    from charrnn.cli.views.picture import check_picture
    from charrnn.cli.views.plot import MARK

    if plot is not None:
        check_picture(plot, MARK)
    if len(runs or ()) > 1:
        _compare(runs or [], plot, as_json)
    else:
        (facts,) = inspected(*runs or ())
        _show(facts, plot, as_json)
        if not runs:
            tell_which(facts["run"], Path(facts["file"]).name, facts["step"])
    if plot is not None:
        say(f"Wrote {printable(str(plot))}.")


def _show(facts: dict[str, Any], plot: Path | None, as_json: bool) -> None:
    """Show one run or file."""
    from charrnn.cli.views.contents import shown
    from charrnn.cli.views.plot import write_picture

    if plot is not None:
        title = f"{facts['run'] or facts['file']}: {facts['model']['title']}, {facts['parameters']:,} parameters"
        write_picture(plot, facts["history"], title, facts["unit"])
    write_data(json_text(facts, indent=2) if as_json else shown(facts))


def _compare(names: list[str], plot: Path | None, as_json: bool) -> None:
    """Show several runs in one table and one chart."""
    from charrnn.api.inspection import inspect as inspected
    from charrnn.cli.views import comparison
    from charrnn.cli.views.plot import write_comparison

    comparison.check_count(len(names))
    facts = inspected(*names)
    if plot is not None:
        curves = [(comparison.name(one), comparison.curve(one)) for one in facts]
        write_comparison(plot, curves, comparison.loss_shown(facts), " or ".join(comparison.units(facts)))
    write_data(json_text(facts, indent=2) if as_json else comparison.together(facts))
    for warning in comparison.warnings(facts):
        say(warning)
