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
    STACKS,
    UNKNOWN,
)


def _off(value: float | None) -> float | None:
    """Return None, which means off, for the 0 that a command line can say."""
    return None if value == 0 else value


def _load_cells(files: list[str] | None) -> None:
    """Load the cells that these files, and the files named in the environment, define."""
    typed_cells[:] = files or ()
    if files or os.environ.get(CELLS_VARIABLE):
        from charrnn.api.own_cells import load_cells

        load_cells(files or ())


# Arguments
_TEXT = "Text files (also .gz, .bz2, .xz, .zst), folders, patterns such as '*.txt', or - for stdin."
Texts = Annotated[list[str], typer.Argument(metavar="CORPUS", help=_TEXT)]
Corpus = Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=_TEXT)]
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
ResultAsJson = Annotated[bool, typer.Option("--json", help="At the end, print the result as JSON.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random numbers.")]

Unknown = Annotated[
    str | None,
    typer.Option(
        "--unknown",
        help=f"What to do with characters that the model has never seen: {', '.join(UNKNOWN)} (by its unknown "
        "symbol, U+FFFD, ? or a space).",
        show_default="error; replace if trained with --min-count; for score 20.1 bits each",
    ),
]

AsJsonl = Annotated[bool, typer.Option("--jsonl", help="Print one line of JSON for each record.")]

# Model
CellName = Annotated[str, typer.Option("--cell", metavar="CELL", help="Kind of cell; `charrnn cells` lists them.")]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cells",
        metavar="FILE",
        callback=_load_cells,
        expose_value=False,
        help=f"A Python file that defines your own cell (docs/cells.md), in addition to the files of {CELLS_VARIABLE}.",
    ),
]
Activation = Annotated[
    str,
    typer.Option("--activation", help=f"Activation of --cell rnn: {', '.join(ACTIVATIONS)} (the same as --cell irnn)."),
]
Layers = Annotated[int, typer.Option("--layers", help="Number of layers.")]
Stack = Annotated[str, typer.Option("--stack", help=f"How layers are connected: {', '.join(STACKS)}.")]
Units = Annotated[int, typer.Option("--units", help="Units per layer.")]
Embedding = Annotated[
    int | None,
    typer.Option("--embedding", min=0, callback=_off, help="Size of the character embedding; 0 means one-hot input."),
]
Vocab = Annotated[
    Path | None,
    typer.Option(
        "--vocab", help="A vocabulary file, written by `charrnn vocab -o`. Default: the characters of the corpus."
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="RUN|FILE",
        help="Start from the weights of a trained model, which may know other characters. The new model has the same "
        "cell and size.",
        show_default=False,
    ),
]
DropUnused = Annotated[
    bool, typer.Option("--drop-unused", help="With --init: remove characters that do not occur in the text.")
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help=f"Settings to start from: {', '.join(PRESETS)}. Other options override them."),
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
OnePerLine = Annotated[
    bool,
    typer.Option("--one-per-line", help="Each line is a separate document: the model forgets everything before it."),
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
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        metavar="CHARACTER",
        help=r"Add this character after each file, such as '\n' or '\x1e'.",
        show_default=False,
    ),
]
ResetAtDocuments = Annotated[
    bool,
    typer.Option(
        "--reset-at-documents", help="Each file is a separate document: the model forgets everything before it."
    ),
]
LossAfter = Annotated[
    str | None,
    typer.Option(
        "--loss-after",
        metavar="CHARACTER",
        help=r"A character such as '\t'. In each document only the text after it is learned; the text before it is "
        "only read.",
        show_default=False,
    ),
]
MinCount = Annotated[
    int, typer.Option("--min-count", min=1, help="Replace characters that occur fewer times by one unknown symbol.")
]
Batch = Annotated[int, typer.Option("--batch", help="Batch size: sequences that are trained in parallel.")]
Seq = Annotated[
    int, typer.Option("--seq", help="Sequence length: characters per window, through which gradients flow.")
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help="Which text is used for validation: tail (the last part of the text), documents (randomly chosen files, "
        "lines or other documents), char-rnn (the last 5 % of each stream).",
        show_default="tail; documents with --one-per-line, --documents-between, --field",
    ),
]
Val = Annotated[float, typer.Option("--val", help="Fraction of the text for validation; 0 means no validation.")]
ValFile = Annotated[
    list[str] | None,
    typer.Option("--val-file", metavar="CORPUS", help="Validate on this text, and train on all of CORPUS."),
]
Test = Annotated[float, typer.Option("--test", help="Fraction of the text held out for one final test.")]

# Optimization
Dropout = Annotated[float, typer.Option("--dropout", help="Dropout rate of the outputs of each layer.")]
Optimizer = Annotated[str, typer.Option("--optimizer", help=f"Optimizer: {', '.join(OPTIMIZERS)}.")]
_RATES = ", ".join(f"{name} {rate:g}" for name, rate in DEFAULT_RATES.items())
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="Learning rate (of a schedule: its highest).", show_default=_RATES)
]
Epsilon = Annotated[float | None, typer.Option("--epsilon", help="Epsilon of the optimizer.")]
Rho = Annotated[float | None, typer.Option("--rho", help="Decay of rmsprop and adadelta.")]
Momentum = Annotated[float, typer.Option("--momentum", help="Momentum of sgd.")]
WeightDecay = Annotated[float | None, typer.Option("--weight-decay", help="Decoupled weight decay.")]
Schedule = Annotated[
    str,
    typer.Option(
        "--schedule", help=f"Schedule of the learning rate: {', '.join(SCHEDULES)} (cosine begins with a warm-up)."
    ),
]
Warmup = Annotated[
    int, typer.Option("--warmup", help="Warm-up steps of --schedule cosine, at most a tenth of all steps.")
]
Decay = Annotated[float, typer.Option("--decay", help="Learning-rate factor per epoch (--schedule exponential).")]
DecayAfter = Annotated[
    int, typer.Option("--decay-after", help="Epochs before the learning rate decays (--schedule exponential).")
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm", min=0, callback=_off, help="Limit of the global norm of the gradients; 0 means no limit."
    ),
]
ClipValue = Annotated[
    float | None,
    typer.Option(
        "--clip-value", min=0, callback=_off, help="Limit of each element of the gradients; 0 means no limit."
    ),
]
SumGradients = Annotated[
    bool,
    typer.Option(
        "--sum-gradients/--mean-gradients",
        help="Use the sum or the mean of the gradients of a window's characters. char-rnn uses the sum.",
    ),
]

Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help=f"Precision of matrix products: {', '.join(PRECISIONS)} (faster on hardware that supports it).",
    ),
]

# Budget
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs", help="Passes over the training text; with --resume: additional passes.", show_default=False
    ),
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", help="Number of training steps; with --resume: additional steps.", show_default=False),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Time for the whole command, in minutes; with --resume: additional minutes.",
        show_default=f"{DEFAULT_MINUTES:g} if no other budget is given",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience", min=0, callback=_off, help="Stop after this many evaluations without improvement; 0 means never."
    ),
]

# Devices
Backend = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="BACKEND",
        help="Backend of Keras for training: tensorflow or jax.",
        show_default="KERAS_BACKEND, the backend of the resumed run, or tensorflow",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, gpu, or one GPU such as gpu:0; `charrnn devices` lists them."
    ),
]
ProcessCount = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, help="Number of processes that train one run together (JAX only).", show_default=False
    ),
]
ProcessId = Annotated[
    int | None,
    typer.Option("--process-id", help="Number of this process, from 0. Process 0 writes the run.", show_default=False),
]
Coordinator = Annotated[
    str | None,
    typer.Option("--coordinator", metavar="HOST:PORT", help="Address of process 0.", show_default=False),
]

# The run
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the run. Default: the name of the corpus.", show_default=False)
]
Checkpoints = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        help="Folder of all runs. Default: CHARRNN_CHECKPOINTS, or checkpoints.",
        show_default=False,
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Continue a run from its newest checkpoint to the end of its budget. --steps, --epochs or --minutes give "
        "it an additional budget; --lr, --schedule or --warmup begin a new schedule. An older checkpoint file is "
        "continued in a new run.",
    ),
]
AllowChangedText = Annotated[
    bool, typer.Option("--allow-changed-text", help="Resume a run although its text has changed.")
]
EvalEvery = Annotated[
    int | None,
    typer.Option(
        "--eval-every",
        min=0,
        callback=_off,
        help="Steps between evaluations, in addition to one at the end of each epoch (at most one in 100 steps).",
    ),
]
SaveEvery = Annotated[
    int | None,
    typer.Option(
        "--save-every", min=0, callback=_off, help="Steps between checkpoints, in addition to one at each evaluation."
    ),
]
Keep = Annotated[int, typer.Option("--keep", help="Number of newest checkpoints to keep, in addition to the best one.")]
Quiet = Annotated[
    int,
    typer.Option(
        "--quiet", "-q", count=True, show_default=False, help="Print no samples; -qq: nothing but warnings and errors."
    ),
]
