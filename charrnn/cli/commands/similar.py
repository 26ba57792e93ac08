"""`charrnn similar`: finds the lines that are most similar to a text."""

from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import runs_and_queries, say_if_typed
from charrnn.cli.console import notify, printable, say
from charrnn.cli.escapes import unescaped
from charrnn.config import POOLS, SIMILAR, STATE
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError


def similar(
    lines: Annotated[
        str,
        typer.Option(
            "--in", metavar="FILE", help="The text file whose lines are searched, compressed or not; - is stdin."
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE]... [QUERY]...",
            help="Runs or checkpoints (default: the newest run), then texts, each in quotes. Without a text, each line "
            "of stdin is one. The vectors of several models are put side by side.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Print the N most similar lines.")] = SIMILAR,
    whiten: Annotated[
        bool,
        typer.Option(
            "--whiten",
            help="Let all directions count equally in which the vectors of the lines vary, not only the widest ones.",
        ),
    ] = False,
    jsonl: o.AsJsonl = False,
    pool: e.Pool = POOLS[0],
    layer: e.Layer = None,
    state: e.State = STATE,
    field: e.Field = None,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: e.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Find the lines that are most similar to a text.

    Two lines are similar if the network has similar states while it reads them. For each line the command prints,
    separated by tabs: the similarity (at most 1), the line number and the line. With several texts, or texts from
    stdin, the number of the text comes first. Similarity is the cosine of two vectors, as `charrnn embed` makes them,
    after the mean of the vectors of all lines was subtracted.
    """
    from charrnn.api.similar import Search
    from charrnn.api.texts import texts
    from charrnn.cli.views.vectors import Neighbours
    from charrnn.config import TextConfig
    from charrnn.text.decoding import prepare
    from charrnn.text.lines import portions

    runs, typed = runs_and_queries(arguments or [])
    if not typed and lines == "-":
        raise CharRNNError(
            "The lines and the texts to compare them with cannot both be read from stdin.",
            hint="Put a text after the run, or name a file with --in.",
        )
    joined = e.joined(runs, engine, weights, encoding, errors, unknown=unknown, **e.how(pool, layer, state))
    of_bytes = joined.text.bytes
    say_if_typed([lines], "Reading lines from the terminal; Ctrl-D ends them.")
    view = Neighbours(jsonl, joined.text, numbered=len(typed) != 1)
    with Search(joined, whiten) as search:
        for portion in texts(lines, joined.text, field, False, notify):
            search.add(portion)
        if not search.count:
            say(f"{printable(lines)} has no lines.")
        if typed:
            given = [prepare(unescaped(one, of_bytes), TextConfig(bytes=of_bytes)) for one in typed]
            view.write(search.nearest(given, top))
            return
        say_if_typed(["-"], "Reading texts from the terminal, one in each line; Ctrl-D ends them.")
        for queries in portions("-", joined.text, True, notify):
            view.write(search.nearest(queries, top, view.count + 1))
