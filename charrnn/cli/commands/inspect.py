"""`charrnn inspect`: a look inside what was trained."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import tell_which
from charrnn.cli.console import printable, say, write_data


def inspect(
    run: o.RunOrFile = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Also draw the training history: .png, .svg or .pdf.", show_default=False
        ),
    ] = None,
    cells: o.Cells = None,
    as_json: o.AsJson = False,
) -> None:
    """Show what a checkpoint holds: model, parameters, characters, settings; and how the training of a run went."""
    from charrnn.api.inspection import facts_of
    from charrnn.cli.views import plot as pictures
    from charrnn.cli.views.contents import shown

    if plot is not None:
        pictures.check_picture(plot)
    facts = facts_of(run)
    if plot is not None:
        title = f"{facts['run'] or facts['file']}: {facts['model']['title']}, {facts['parameters']:,} parameters"
        pictures.write_picture(plot, facts["history"], title, facts["unit"])
    if run is None:
        tell_which(facts["run"], Path(facts["file"]).name, facts["step"])
    if as_json:
        write_data(json_text(facts, indent=2))
    else:
        write_data(shown(facts))
    if plot is not None:
        say(f"Wrote {printable(str(plot))}.")
