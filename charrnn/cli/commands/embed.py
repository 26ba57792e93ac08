"""`charrnn embed`: makes a vector of each line."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, runs_and_texts, say_if_typed
from charrnn.cli.console import notify
from charrnn.config import POOLS, STATE
from charrnn.engines import AUTO, WEIGHTS


def embed(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE]... [TEXT]",
            help="Runs or checkpoints (default: the newest run), then a text file, compressed or not (default: stdin). "
            "The vectors of several models are put side by side.",
        ),
    ] = None,
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
    unbuffered: Annotated[
        bool, typer.Option("--unbuffered", help="Print the vector of each line immediately, for pipes that stay open.")
    ] = False,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: e.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Make a vector of each line: the state of the network while it reads the line.

    Vectors of similar lines are similar. Each line is read without those before it. The vectors are printed in the
    order of the lines, as tab-separated numbers, or written to a file with --output.
    """
    import numpy as np

    from charrnn.api.texts import check_whole_texts, texts, whole_texts
    from charrnn.cli.views.vectors import Rows, vector_file

    runs, sources = runs_and_texts(arguments or [], "embed", several=whole)
    check_whole_texts(whole, field)
    models = [loaded(run, engine, weights) for run in runs] or [loaded(None, engine, weights)]
    configs = [model.read_as(encoding, errors or "replace") for model in models]
    how = e.how(pool, layer, state)
    embedders = [model.embedder(config, unknown=unknown, **how) for model, config in zip(models, configs, strict=True)]
    say_if_typed(sources, "Reading lines from the terminal; Ctrl-D ends them.")
    read = (
        whole_texts(sources, configs[0], notify) if whole else texts(sources[0], configs[0], field, unbuffered, notify)
    )

    def made():  # type: ignore[no-untyped-def]
        first = 1
        for lines in read:
            yield first, lines, np.concatenate([embedder.embed(lines, first) for embedder in embedders], axis=1)
            first += len(lines)

    if output is None:
        rows = Rows(jsonl, configs[0])
        for first, lines, vectors in made():
            rows.write(vectors, lines, first)
        return
    with vector_file(output, sum(embedder.width for embedder in embedders)) as file:
        for _, _, vectors in made():
            file.write(vectors)
