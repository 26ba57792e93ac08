"""`charrnn probe`: tests what the states of a model say about labels of texts."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import embedding as e
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, say_if_typed
from charrnn.cli.console import notify, printable, say, typed_without, write_data
from charrnn.config import PENALTIES, POOLS, STATE
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError


def probe(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|FILE",
            help="Runs or checkpoints (default: the newest run). The vectors of several models are put side by side.",
        ),
    ] = None,
    train: e.Train = None,
    test: e.Test = None,
    label_field: o.LabelField = None,
    field: o.Field = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the probe to this file (safetensors); `charrnn label` labels lines with it.",
        ),
    ] = None,
    as_json: o.AsJson = False,
    pool: e.Pool = POOLS[0],
    layer: e.Layer = None,
    state: e.State = STATE,
    penalty: e.Penalty = PENALTIES[0],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of all random numbers.")] = 0,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: e.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Test what the state of a model says about labels of texts.

    Logistic regression learns the labels from the vectors of `charrnn embed`, and is measured on texts that it has not
    seen. Beside it are a regression on n-grams of characters, and the most frequent label.
    """
    from charrnn.api.fitting import probe as fitted
    from charrnn.api.json_text import json_text
    from charrnn.api.regression import check_scikit_learn
    from charrnn.api.texts import labelled_texts
    from charrnn.cli.views.probe import TextsRead, shown
    from charrnn.config import TextConfig
    from charrnn.runs.probe import check_place

    runs = runs or []
    no_runs = [run for run in runs if os.path.isfile(run) and not run.endswith(".safetensors")]
    if train is None:
        known = (
            f": {typed_without(no_runs)} --train {shlex.quote(no_runs[0])}" if no_runs else ", for example --train FILE"
        )
        raise CharRNNError("A probe needs labelled texts.", hint=f"Name them with --train{known}")
    if train == test == "-":
        raise CharRNNError("--train and --test cannot both be read from stdin.", hint="Name a file for one of them.")
    check_scikit_learn()
    if output is not None:
        check_place(output)
    models = [loaded(run, engine, weights) for run in runs] or [loaded(None, engine, weights)]
    read = TextConfig(encoding=encoding or TextConfig.encoding, errors=errors or "replace")
    sources = [source for source in (train, test) if source is not None]
    say_if_typed(sources, "Reading labelled texts from the terminal; Ctrl-D ends them.")
    (labels, texts), *held_out = (
        tuple(zip(*labelled_texts(source, read, field, label_field, notify), strict=True)) for source in sources
    )
    with TextsRead() as reading:
        found, report = fitted(
            models,
            texts,
            labels,
            test=(held_out[0][1], held_out[0][0]) if held_out else None,
            penalty=penalty,
            seed=seed,
            unknown=unknown,
            notify=notify,
            watch=reading.show,
            **e.how(pool, layer, state),
        )
    write_data(json_text(report.to_json(), ascii_only=False, indent=2) if as_json else shown(report))
    if output is not None:
        found.save(output)
        file = printable(shlex.quote(str(output)))
        say(f"The probe is {file}. To label lines with it: charrnn label {file} TEXT")
