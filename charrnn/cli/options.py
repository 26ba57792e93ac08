"""The options of the commands, each declared once. Defaults and checks live in `charrnn.config`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from charrnn.api.presets import PRESETS
from charrnn.cli.console import typed_cells
from charrnn.config import (
    ACTIVATIONS,
    CELLS_VARIABLE,
    DEFAULT_MINUTES,
    DEFAULT_RATES,
    ERRORS,
    NEWLINES,
    NORMAL_FORMS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    SPLITS,
    STACKS,
    UNKNOWN,
)


def _off(value: float | None) -> float | None:
    """Return None, which means off, for the 0 that a command line can say."""
    return None if value == 0 else value


def _load_cells(files: list[str] | None) -> None:
    """Make the cells of these files known, and those of the environment; no file is read where there is none."""
    typed_cells[:] = files or ()
    if files or os.environ.get(CELLS_VARIABLE):
        from charrnn.api.own_cells import load_cells

        load_cells(files or ())


# Arguments
_TEXT = "Text files (.gz, .bz2, .xz, .zst too), folders, patterns, or - for stdin."
Texts = Annotated[list[str], typer.Argument(metavar="CORPUS", help=_TEXT)]
Corpus = Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=_TEXT)]
RunOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="A run's name, its folder, or a checkpoint file; by default the newest run's best.",
        show_default=False,
    ),
]
RunsOrFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="Names of runs, their folders, or checkpoint files; by default the newest run's best.",
        show_default=False,
    ),
]
RunAndLines = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN|FILE] [TEXT]",
        help="A run or checkpoint (by default the newest run's best), then a text file, packed or not; else stdin.",
    ),
]
ResultAsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON at the end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The seed of everything random.")]

Unknown = Annotated[
    str | None,
    typer.Option(
        "--unknown",
        help=f"Characters that the model has never seen: {', '.join(UNKNOWN)} (by its unknown symbol, "
        "U+FFFD, ? or a space).",
        show_default="error, replace after --min-count; of score 20.1 bits each",
    ),
]

AsJsonl = Annotated[bool, typer.Option("--jsonl", help="Print a line of JSON for each record.")]

# Model
CellName = Annotated[str, typer.Option("--cell", metavar="CELL", help="The cell: `charrnn cells` lists them.")]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cells",
        metavar="FILE",
        callback=_load_cells,
        expose_value=False,
        help=f"A Python file that defines a cell of your own (docs/cells.md), besides those of {CELLS_VARIABLE}.",
    ),
]
Activation = Annotated[
    str, typer.Option("--activation", help=f"Of --cell rnn: {', '.join(ACTIVATIONS)} (which is the cell irnn).")
]
Layers = Annotated[int, typer.Option("--layers", help="Stacked layers.")]
Stack = Annotated[str, typer.Option("--stack", help=f"How layers are put together: {', '.join(STACKS)}.")]
Units = Annotated[int, typer.Option("--units", help="Units of each layer.")]
Embedding = Annotated[
    int | None, typer.Option("--embedding", min=0, callback=_off, help="Width of the embedding; 0 is one-hot input.")
]
Vocab = Annotated[
    Path | None, typer.Option("--vocab", help="A vocabulary file of `charrnn vocab -o`; else the corpus' own.")
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="RUN|FILE",
        help="Begin with the weights of a trained model, whatever its characters; its size is taken over.",
        show_default=False,
    ),
]
DropUnused = Annotated[
    bool, typer.Option("--drop-unused", help="With --init: forget the model's characters that the text lacks.")
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help=f"Settings to start from: {', '.join(PRESETS)}. Other options override them."),
]

# Data
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN", help="Of folders, only files whose names match, such as '*.txt'."),
]
Encoding = Annotated[str, typer.Option("--encoding", help="The text's encoding, any that Python knows.")]
EncodingOfText = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="The encoding of what is read and of what is printed (JSON is always UTF-8).",
        show_default="utf-8",
    ),
]
ErrorsOfLines = Annotated[
    str | None,
    typer.Option(
        "--errors",
        help=f"Bytes that the encoding does not know: {', '.join(ERRORS)} (by U+FFFD).",
        show_default="replace",
    ),
]
Errors = Annotated[
    str, typer.Option("--errors", help=f"Bytes that the encoding does not know: {', '.join(ERRORS)} (by U+FFFD).")
]
Newlines = Annotated[str, typer.Option("--newlines", help=f"Line ends: {', '.join(NEWLINES)} (CRLF and CR become LF).")]
Normalize = Annotated[
    str | None, typer.Option("--normalize", help=f"Unicode form: {', '.join(NORMAL_FORMS)}.", show_default=False)
]
Lower = Annotated[bool, typer.Option("--lower", help="Make all letters lower case.")]
Bytes = Annotated[bool, typer.Option("--bytes", help="Take raw bytes for characters: any file at all can be read.")]
Lines = Annotated[
    bool, typer.Option("--lines", help="Every line is a document: the model forgets all before at its beginning.")
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        metavar="CHARACTER",
        help=r"Put this behind each file, such as '\n' or '\x1e'.",
        show_default=False,
    ),
]
ResetAtDocuments = Annotated[
    bool, typer.Option("--reset-at-documents", help="Forget all before at the beginning of each file.")
]
LossAfter = Annotated[
    str | None,
    typer.Option(
        "--loss-after",
        metavar="CHARACTER",
        help=r"Learn only what follows this in each document, such as '\t'; what stands before it is only read.",
        show_default=False,
    ),
]
MinCount = Annotated[
    int, typer.Option("--min-count", min=1, help="Characters that are rarer become one unknown symbol, never sampled.")
]
Batch = Annotated[int, typer.Option("--batch", help="Streams read side by side.")]
Seq = Annotated[int, typer.Option("--seq", help="Characters a window: how far gradients go back.")]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help=f"What validates: {', '.join(SPLITS)}. tail: the contiguous last --val of the text. documents: whole "
        "files or --lines at random. char-rnn: the last 5 % of each stream.",
        show_default="tail, documents with --lines",
    ),
]
Val = Annotated[float, typer.Option("--val", help="The share that validates; 0 for none.")]
ValFile = Annotated[
    list[str] | None,
    typer.Option("--val-file", metavar="CORPUS", help="Validate on this, and train on all of the text."),
]
Test = Annotated[float, typer.Option("--test", help="The share that is kept for one test at the end, the last.")]

# Optimization
Dropout = Annotated[float, typer.Option("--dropout", help="Share of each layer's outputs that is dropped.")]
Optimizer = Annotated[str, typer.Option("--optimizer", help=f"One of {', '.join(OPTIMIZERS)}.")]
_RATES = ", ".join(f"{name} {rate:g}" for name, rate in DEFAULT_RATES.items())
LearningRate = Annotated[float | None, typer.Option("--lr", help="Learning rate, at its highest.", show_default=_RATES)]
Epsilon = Annotated[float | None, typer.Option("--epsilon", help="The optimizer's epsilon.")]
Rho = Annotated[float | None, typer.Option("--rho", help="Decay of rmsprop and adadelta.")]
Momentum = Annotated[float, typer.Option("--momentum", help="Momentum of sgd.")]
WeightDecay = Annotated[float | None, typer.Option("--weight-decay", help="Decoupled weight decay.")]
Schedule = Annotated[
    str, typer.Option("--schedule", help=f"How the rate goes: {', '.join(SCHEDULES)} (cosine warms up first).")
]
Warmup = Annotated[int, typer.Option("--warmup", help="Steps of warm-up (cosine), at most a tenth of all.")]
Decay = Annotated[float, typer.Option("--decay", help="Factor an epoch (exponential).")]
DecayAfter = Annotated[int, typer.Option("--decay-after", help="Epochs before it decays (exponential).")]
ClipNorm = Annotated[
    float | None,
    typer.Option("--clip-norm", min=0, callback=_off, help="Limit of the gradients' global norm; 0 is none."),
]
ClipValue = Annotated[
    float | None, typer.Option("--clip-value", min=0, callback=_off, help="Limit of each gradient element; 0 is none.")
]
SumGradients = Annotated[
    bool,
    typer.Option(
        "--sum-gradients/--mean-gradients",
        help="Sum gradients over a window's characters, as char-rnn does, or average them.",
    ),
]

Precision = Annotated[
    str,
    typer.Option("--precision", help=f"Of matrix products: {', '.join(PRECISIONS)} (faster where there is hardware)."),
]

# Budget
Epochs = Annotated[
    float | None,
    typer.Option("--epochs", help="Passes over the text; with --resume so many more.", show_default=False),
]
Steps = Annotated[int | None, typer.Option("--steps", help="Windows; with --resume so many more.", show_default=False)]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Minutes, everything included; with --resume so many more.",
        show_default=f"{DEFAULT_MINUTES:g} if no other budget is given",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience", min=0, callback=_off, help="Stop after so many evaluations without improvement; 0 is never."
    ),
]

# Devices
Backend = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="BACKEND",
        help="What trains: tensorflow or jax.",
        show_default="KERAS_BACKEND, the resumed run's own, or tensorflow",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="auto, cpu, gpu, or one GPU: gpu:0, gpu:1 (`charrnn devices`)."),
]
ProcessCount = Annotated[
    int | None,
    typer.Option("--processes", min=1, help="How many processes train together, with JAX.", show_default=False),
]
ProcessId = Annotated[
    int | None,
    typer.Option("--process-id", help="Which of them this is, from 0; 0 writes the run.", show_default=False),
]
Coordinator = Annotated[
    str | None,
    typer.Option("--coordinator", metavar="HOST:PORT", help="Where process 0 can be reached.", show_default=False),
]

# The run
Name = Annotated[str | None, typer.Option("--name", help="The run's name; by default the corpus'.", show_default=False)]
Checkpoints = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        help="The folder of runs; by default that of CHARRNN_CHECKPOINTS, or checkpoints.",
        show_default=False,
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Continue a run from its newest checkpoint: to the end of its budget, or with --steps, --epochs or "
        "--minutes so much further. --lr, --schedule or --warmup begin a new schedule there. "
        "From a checkpoint file that is not the newest it goes on in a run of its own.",
    ),
]
AllowChangedText = Annotated[
    bool, typer.Option("--allow-changed-text", help="Resume although the text is no longer the same.")
]
EvalEvery = Annotated[
    int | None,
    typer.Option(
        "--eval-every",
        min=0,
        callback=_off,
        help="Steps between evaluations, besides those at the ends of epochs, which lie 100 steps apart or more.",
    ),
]
SaveEvery = Annotated[
    int | None,
    typer.Option("--save-every", min=0, callback=_off, help="Steps between checkpoints, besides evaluations."),
]
Keep = Annotated[int, typer.Option("--keep", help="Newest checkpoints to keep, besides the best.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and the last lines.")]
