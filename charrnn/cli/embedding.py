"""The options of the commands that make vectors of texts, each declared once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.arguments import all_loaded
from charrnn.cli.options import UNKNOWN_HELP
from charrnn.config import LAYER, PENALTIES, POOLS
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.vectors import Joined

RunsAndLines = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN|FILE]... [TEXT]",
        help="Runs or checkpoints (default: the newest run), then a text file, compressed or not (default: stdin). "
        "The vectors of several models are put side by side.",
    ),
]
Pool = Annotated[
    str,
    typer.Option(
        "--pool",
        metavar="|".join(POOLS),
        help="How the states after the characters of a text become one vector: their mean, the last one, the largest "
        "value of each unit, or the first and the last one side by side.",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="N|all",
        help="The layer whose state is taken, from 0; all puts those of all layers side by side.",
        show_default="the highest",
    ),
]
State = Annotated[
    str,
    typer.Option(
        "--state",
        metavar="h|c|all",
        help="The field of the state: h is the output of the layer, c the memory of an LSTM; all puts all of them side "
        "by side.",
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="Read the texts under this name in records (.jsonl, .csv, .tsv; stdin has lines of JSON).",
        show_default=False,
    ),
]
Unknown = Annotated[
    str | None,
    typer.Option(
        "--unknown",
        help=UNKNOWN_HELP,
        show_default="skip, or replace if the model was trained with --min-count",
    ),
]
# Of a probe
Train = Annotated[
    str | None,
    typer.Option(
        "--train",
        metavar="TEXTS",
        help="Labelled texts: lines of LABEL, a tab and TEXT, or records (--label-field).",
        show_default=False,
    ),
]
Test = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="TEXTS",
        help="Labelled texts on which the probe is measured.",
        show_default="a fifth of the texts of --train, chosen at random",
    ),
]
Penalty = Annotated[
    str,
    typer.Option(
        "--penalty",
        metavar="|".join(PENALTIES),
        help="How the weights are kept small; with l1 many units get no weight.",
    ),
]

# What stands for all layers, and for all fields.
ALL = "all"


def how(pool: str, layer: str | None, state: str) -> dict[str, Any]:
    """Return the arguments of `Model.embedder` that these options mean."""
    if layer is not None and layer != ALL and not (layer.isascii() and layer.isdecimal()):
        raise CharRNNError(f"--layer is {layer!r}; it must be the number of a layer, or all.")
    number = LAYER if layer is None else None if layer == ALL else int(layer)
    return {"pool": pool, "layer": number, "state": None if state == ALL else state}


def joined(
    runs: Sequence[str], engine: str, weights: str, encoding: str | None, errors: str | None, **how: Any
) -> "Joined":
    """Return what makes the vectors of some models, side by side; `how` as in `Joined`."""
    from charrnn.api.vectors import Joined

    return Joined(all_loaded(runs, engine, weights), encoding, errors, **how)
