"""`charrnn map`: a map of two dimensions of the lines of a text."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import runs_and_texts, say_if_typed
from charrnn.cli.console import notify, printable, say
from charrnn.config import MAPS, POOLS, STATE
from charrnn.engines import AUTO, WEIGHTS


def map(
    arguments: e.RunsAndLines = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the map: .png, .svg or .pdf.", show_default=False),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="|".join(MAPS),
            help="pca: along the two directions in which the vectors vary most. tsne: lines with similar vectors stay "
            "together; for at most 20,000 lines.",
        ),
    ] = MAPS[0],
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Each line is a label, a tab and a text; the label gives the colour.")
    ] = False,
    field: e.Field = None,
    label_field: o.LabelField = None,
    jsonl: o.AsJsonl = False,
    pool: e.Pool = POOLS[0],
    layer: e.Layer = None,
    state: e.State = STATE,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: e.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Make a map of lines: similar lines are near each other.

    The vectors of the lines, as `charrnn embed` makes them, are standardized and reduced to two dimensions. Without
    --plot the command prints for each line, separated by tabs: x, y and, if there are labels, the label.
    """
    from charrnn.api.mapping import check_method, labelled_lines, map_of
    from charrnn.cli.views.map_plot import MARK, draw_map
    from charrnn.cli.views.picture import check_picture
    from charrnn.cli.views.vectors import Points, check_printed

    check_method(method, seed)
    check_printed("--plot", "draws the map", plot, jsonl=jsonl)
    if plot is not None:
        check_picture(plot, MARK)
    runs, (source,) = runs_and_texts(arguments or [], "map")
    joined = e.joined(runs, engine, weights, encoding, errors, unknown=unknown, **e.how(pool, layer, state))
    say_if_typed([source], "Reading lines from the terminal; Ctrl-D ends them.")
    lines = labelled_lines(source, joined.text, method, field, label_field, labels, notify)
    found = map_of(joined, lines.texts, method, seed or 0)
    if plot is None:
        Points(jsonl, joined.text).write(found.points, lines)
        return
    draw_map(plot, found, lines.labels, method, printable("stdin" if source == "-" else source))
    say(f"Wrote {printable(str(plot))}.")
