"""`charrnn embed`: makes a vector of each line."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import runs_and_texts, say_if_typed
from charrnn.cli.console import notify
from charrnn.config import POOLS, STATE
from charrnn.engines import AUTO, WEIGHTS


def embed(
    arguments: e.RunsAndLines = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.npy", help="Write the vectors to this file, as NumPy's float32 array."
        ),
    ] = None,
    jsonl: o.AsJsonl = False,
    pool: e.Pool = POOLS[0],
    layer: e.Layer = None,
    state: e.State = STATE,
    whole: Annotated[
        bool, typer.Option("--whole", help="Make a vector of each whole text file, not of each of its lines.")
    ] = False,
    field: e.Field = None,
    unbuffered: o.Unbuffered = False,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: e.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Make a vector of each line.

    The vector is made of the states of the network while it reads the line. Vectors of similar lines are similar. Each
    line is read without those before it. The vectors are printed in the order of the lines, as tab-separated numbers,
    or written to a file with --output.
    """
    from charrnn.api.texts import check_whole_texts, texts, whole_texts
    from charrnn.cli.views.vectors import Rows, check_printed, vector_file

    check_printed("--output", "writes the vectors to a file", output, jsonl=jsonl, unbuffered=unbuffered)
    runs, sources = runs_and_texts(arguments or [], "embed", several=whole)
    check_whole_texts(whole, field)
    joined = e.joined(runs, engine, weights, encoding, errors, unknown=unknown, **e.how(pool, layer, state))
    say_if_typed(sources, "Reading lines from the terminal; Ctrl-D ends them.")
    text = joined.text
    read = whole_texts(sources, text, notify) if whole else texts(sources[0], text, field, unbuffered, notify)
    if output is None:
        rows = Rows(jsonl, text)
        for lines, vectors in joined.each(read):
            rows.write(vectors, lines)
        return
    with vector_file(output, joined.width) as file:
        for _, vectors in joined.each(read):
            file.write(vectors)
