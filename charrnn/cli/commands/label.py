"""`charrnn label`: prints the label of each line."""

import os
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, say_if_typed
from charrnn.cli.console import notify
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError


def label(
    labeller: Annotated[
        str,
        typer.Argument(
            metavar="PROBE|RUN",
            help="A file that `charrnn probe -o FILE` wrote, or a run or checkpoint of a model of labels.",
        ),
    ],
    text: Annotated[
        str,
        typer.Argument(metavar="[TEXT]", help="A text file, compressed or not (default: stdin).", show_default=False),
    ] = "-",
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The model that the probe reads, if it was moved. If it reads several, give all, in their order.",
            show_default=False,
        ),
    ] = None,
    field: e.Field = None,
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="Print one line of JSON for each line, with the probabilities of all labels."),
    ] = False,
    unbuffered: o.Unbuffered = False,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Label each line of a text.

    For each line the command prints, separated by tabs: its likeliest label, the probability of this label, and the
    line.
    """
    from charrnn.api.labelling import LabelsLines, labellings
    from charrnn.api.probing import Probe
    from charrnn.api.texts import texts
    from charrnn.cli.views.labels import Labels
    from charrnn.config import TextConfig
    from charrnn.runs.probe import is_probe

    gives: LabelsLines
    if os.path.isfile(labeller) and is_probe(Path(labeller)):
        gives = Probe.load(labeller, run, notify, engine=engine, weights=weights)
    elif run:
        raise CharRNNError(f"--run names the model that a probe reads, but {labeller} is not a probe.", "Leave it out.")
    else:
        gives = loaded(labeller, engine, weights).labeller()
    # The models of a probe may read in different ways: each changes the lines for itself.
    read = TextConfig(encoding=encoding or TextConfig.encoding, errors=errors or "replace", newlines="lf")
    say_if_typed([text], "Reading lines from the terminal; Ctrl-D ends them.")
    view, first = Labels(jsonl, read.encoding), 1
    for lines in texts(text, read, field, unbuffered, notify):
        view.show(labellings(gives, lines, first), first)
        first += len(lines)
