"""The options of the commands, each declared once. Defaults and checks live in `charrnn.config`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.console import typed_cells
from charrnn.config import (
    CELLS_VARIABLE,
    ERRORS,
    LABELLED_SEQ,
    NEWLINES,
    NORMAL_FORMS,
    PRECISIONS,
    STACKS,
    UNKNOWN,
)
from charrnn.engines import OF_TRAINING, OF_USE, WEIGHTS


def off(value: float | None) -> float | None:
    """Return None, which means off, for the 0 that a command line can say."""
    return None if value == 0 else value


def _load_cells(files: list[str] | None) -> None:
    """Load the cells that these files, and the files named in the environment, define."""
    typed_cells[:] = files or ()
    if files or os.environ.get(CELLS_VARIABLE):
        from charrnn.api.own_cells import load_cells

        load_cells(files or ())


# Arguments
CORPUS_HELP = "Text files (also .gz, .bz2, .xz, .zst), folders, patterns such as '*.txt', or - for stdin."
Texts = Annotated[list[str], typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]
RunOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="The name or folder of a run, or a checkpoint file. Default: the best checkpoint of the newest run.",
        show_default=False,
    ),
]
RunsOrFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="Names or folders of runs, or checkpoint files. Default: the best checkpoint of the newest run.",
        show_default=False,
    ),
]
RunAndLines = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN|FILE] [TEXT]",
        help="A run or checkpoint (default: the newest run), then a text file, compressed or not (default: stdin).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random numbers.")]

UNKNOWN_HELP = (
    f"What to do with characters that the model has never seen: {', '.join(UNKNOWN)} (by its unknown "
    "symbol, U+FFFD, ? or a space)."
)
Unknown = Annotated[
    str | None,
    typer.Option(
        "--unknown",
        help=UNKNOWN_HELP,
        show_default="error, or replace if the model was trained with --min-count",
    ),
]

Unbuffered = Annotated[
    bool, typer.Option("--unbuffered", help="Print the result of each line immediately, for pipes that stay open.")
]
AsJsonl = Annotated[bool, typer.Option("--jsonl", help="Print one line of JSON for each result.")]

# Model
CellName = Annotated[str, typer.Option("--cell", metavar="CELL", help="Kind of cell; `charrnn cells` lists them.")]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cells",
        metavar="FILE",
        callback=_load_cells,
        expose_value=False,
        help="A Python file that defines your own cell (docs/cells.md), in addition to the files of the environment "
        f"variable {CELLS_VARIABLE}.",
    ),
]
Layers = Annotated[int, typer.Option("--layers", help="Number of layers.")]
Stack = Annotated[str, typer.Option("--stack", help=f"How layers are connected: {', '.join(STACKS)}.")]
Units = Annotated[int, typer.Option("--units", help="Units per layer.")]
Embedding = Annotated[
    int | None,
    typer.Option("--embedding", min=0, callback=off, help="Size of the character embedding; 0 means one-hot input."),
]
Attention = Annotated[
    int | None,
    typer.Option(
        "--attention",
        min=0,
        callback=off,
        metavar="N",
        help="Each step also looks back at the last N characters of its document; 0 means no attention.",
    ),
]

# A model in use
EngineOfUse = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="|".join(OF_USE),
        help="Who computes: numpy; compiled (faster, but takes a moment to start); or auto: compiled for what takes "
        "long, else numpy.",
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="FORM",
        help=f"How the model's matrices are stored in memory: {', '.join(WEIGHTS)}. With the last two, a large model "
        "makes a single text several times as fast, but predicts slightly less well.",
    ),
]

# Data
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="PATTERN", help="In folders, read only files whose names match, such as '*.txt'."
    ),
]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of the text: any that Python knows.")]
EncodingOfText = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Encoding of input and output (JSON is always UTF-8).",
        show_default="utf-8",
    ),
]
ErrorsOfLines = Annotated[
    str | None,
    typer.Option(
        "--errors",
        help=f"What to do with bytes that are invalid in the encoding: {', '.join(ERRORS)} (by U+FFFD).",
        show_default="replace",
    ),
]
ErrorsOfText = Annotated[
    str | None,
    typer.Option(
        "--errors",
        help=f"What to do with bytes that are invalid in the encoding: {', '.join(ERRORS)} (by U+FFFD). Default: as in "
        "training.",
    ),
]
Errors = Annotated[
    str,
    typer.Option(
        "--errors", help=f"What to do with bytes that are invalid in the encoding: {', '.join(ERRORS)} (by U+FFFD)."
    ),
]
Newlines = Annotated[str, typer.Option("--newlines", help=f"Line ends: {', '.join(NEWLINES)} (CRLF and CR become LF).")]
Normalize = Annotated[
    str | None, typer.Option("--normalize", help=f"Unicode form: {', '.join(NORMAL_FORMS)}.", show_default=False)
]
Lower = Annotated[bool, typer.Option("--lower", help="Convert all letters to lower case.")]
Bytes = Annotated[
    bool, typer.Option("--bytes", help="Train on raw bytes instead of characters, so that any file can be read.")
]
DocumentsBetween = Annotated[
    str | None,
    typer.Option(
        "--documents-between",
        metavar="TEXT",
        help=r"A text such as '\n\n' (a blank line) that ends each document inside a file. Before each document the "
        "model forgets everything.",
        show_default=False,
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="Read the texts under this name in the records of .jsonl, .csv or .tsv files; each record is a document.",
        show_default=False,
    ),
]
LabelField = Annotated[
    str | None,
    typer.Option(
        "--label-field",
        metavar="NAME",
        help="The label of each text is under this name in its record; --field names the text.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option("--batch", help="Batch size: sequences that are trained in parallel.")]
Seq = Annotated[
    int,
    typer.Option(
        "--seq",
        help="Sequence length: characters per window. Gradients flow back through one window. With --labels the "
        f"default is {LABELLED_SEQ}.",
    ),
]

Dropout = Annotated[float, typer.Option("--dropout", help="Dropout rate of the outputs of each layer.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help=f"Precision of matrix products: {', '.join(PRECISIONS)} (faster on hardware that supports it).",
    ),
]

# Devices
Backend = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="BACKEND",
        help="Backend of Keras for training: tensorflow or jax.",
        show_default="the variable KERAS_BACKEND; if not set, the backend of the resumed run, else tensorflow",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, gpu, or one GPU such as gpu:0; `charrnn devices` lists them."
    ),
]

Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="|".join(OF_TRAINING),
        help="What computes the cells: compiled code for this processor or GPU, or the framework (TensorFlow or JAX). "
        "auto compiles them where it can: not with bf16 on a processor, nor with TensorFlow on a GPU.",
    ),
]

# The run
Checkpoints = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        help="Folder of all runs. Default: the environment variable CHARRNN_CHECKPOINTS, or else the folder "
        "checkpoints.",
        show_default=False,
    ),
]
