"""`charrnn gradflow`: measures how far back the gradients of a network reach."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import runs_and_files, say_if_typed, typed
from charrnn.cli.console import notify, printable, say, write_data
from charrnn.config import LONGEST_REACH, MOST_POSITIONS, POSITIONS, REACH, ModelConfig

_M = ModelConfig()


def gradflow(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE]... [TEXT]...",
            help="Runs or checkpoints (default: the newest run), then text files (default: the validation part of each "
            "run; with --cell random characters).",
        ),
    ] = None,
    reach: Annotated[
        int,
        typer.Option("--reach", metavar="K", min=1, max=LONGEST_REACH, help="Follow the gradient so many steps back."),
    ] = REACH,
    positions: Annotated[
        int,
        typer.Option(
            "--positions",
            metavar="N",
            min=1,
            max=MOST_POSITIONS,
            help="Start from N positions, spread evenly over the text.",
        ),
    ] = POSITIONS,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            metavar="CELL,...",
            help="Instead of runs, measure untrained networks of these cells, separated by commas.",
            show_default=False,
        ),
    ] = None,
    cells: o.Cells = None,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    seed: o.Seed = 0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Also draw a picture: .png, .svg or .pdf.", show_default=False),
    ] = None,
    as_json: o.AsJson = False,
    field: o.Field = None,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfText = None,
    backend: o.Backend = None,
    engine: o.Engine = "auto",
) -> None:
    """Measure how far back gradients reach: the vanishing gradient.

    The loss of the prediction at a position has a gradient with respect to the state k steps before. The command prints
    how its norm changes with k: the median over many positions, divided by the norm at k = 1. The reach is the largest
    k at which the norm is still at least 1 % of that, with its quantiles; the factor is the mean change in a step. A
    run is shown at the start of training, with new weights, and
    after it. The state is what the network remembers: all fields of all layers.
    """
    from charrnn.api.gradient_flow import SIZES, gradient_flow
    from charrnn.cli.views.gradient_flow import MARK, check_count, shown, write_picture
    from charrnn.cli.views.picture import check_picture
    from charrnn.cli.views.reading import Drawing, Reading

    if plot is not None:
        check_picture(plot, MARK)
    named = None if cell is None else [name.strip() for name in cell.split(",")]
    runs, texts = runs_and_files(arguments or [])
    check_count(2 * len(runs) if named is None else len(named))
    say_if_typed(texts)
    given = {name: value for name, value in context.params.items() if name in typed(context) & {*SIZES, "seed"}}
    with Reading() as reading, Drawing("Following gradients") as drawing:
        flows = gradient_flow(
            *runs,
            cell=named,
            text=texts or None,
            reach=reach,
            positions=positions,
            field=field,
            encoding=encoding,
            errors=errors,
            unknown=unknown,
            backend=backend,
            engine=engine,
            notify=notify,
            watch=reading.show,
            tell=drawing.show,
            **given,
        )
    write_data(json_text([flow.to_json() for flow in flows]) if as_json else shown(flows))
    if plot is not None:
        write_picture(plot, flows)
        say(f"Wrote {printable(str(plot))}.")
