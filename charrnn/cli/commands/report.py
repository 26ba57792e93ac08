"""`charrnn report`: writes a web page about a run."""

import os
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.arguments import tell_which
from charrnn.cli.console import notify
from charrnn.errors import CharRNNError


def report(
    run: o.RunOrFile = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="The page.", show_default="RUN.html, in this folder"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older page.")] = False,
    cells: o.Cells = None,
) -> None:
    """Write a web page about a run.

    The page shows the settings and how to train the run again, the losses, the sample of each evaluation, the exact
    figures of the held-out text beside those of compressors, a piece of held-out text in the colours of its surprisal,
    and what the model most often takes for something else. It is one file that needs no network and no script. If the
    text of the run is gone or has changed, the page says so and shows the rest.
    """
    from charrnn.api.report import report as reported
    from charrnn.cli.views.reading import Reading
    from charrnn.cli.views.report_page import ReportPage
    from charrnn.runs.finding import find_checkpoint

    path = find_checkpoint(run)
    html = html or Path(f"{path.stem if run is not None and Path(run) == path else path.parent.resolve().name}.html")
    if not force and os.path.lexists(html) and not html.is_dir():
        raise CharRNNError(f"{html} exists already.", hint="Name another file with --html, or add --force.")
    with ReportPage(html) as page:
        with Reading() as reading:
            found = reported(path.parent.resolve() if run is None else run, watch=reading.show, notify=notify)
        if run is None:
            tell_which(found.name, path.name, found.facts["step"])
        page.write(found)
    for why in found.missing:
        notify(why)
