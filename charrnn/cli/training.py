"""The options of `train`, each declared once; `charrnn.cli.options` has those that most commands share."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.api.presets import PRESETS
from charrnn.cli.options import CORPUS_HELP, off
from charrnn.config import ACTIVATIONS, DEFAULT_MINUTES, DEFAULT_RATES, OPTIMIZERS, SCHEDULES

Corpus = Annotated[list[str] | None, typer.Argument(metavar="CORPUS", help=CORPUS_HELP)]

ResultAsJson = Annotated[bool, typer.Option("--json", help="At the end, print the result as JSON.")]


# Model
Activation = Annotated[
    str,
    typer.Option("--activation", help=f"Activation of --cell rnn: {', '.join(ACTIVATIONS)} (the same as --cell irnn)."),
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
        help="Start from the weights of a trained model. Its characters may differ from those of the text. The new "
        "model has the same cell and size.",
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


# Text
OnePerLine = Annotated[
    bool,
    typer.Option("--one-per-line", help="Each line is a separate document: the model forgets everything before it."),
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

Reverse = Annotated[
    bool,
    typer.Option(
        "--reverse",
        help="Read each document from its end to its beginning, or the whole text if its documents are not kept apart.",
    ),
]
Labels = Annotated[
    bool,
    typer.Option(
        "--labels",
        help="Learn to predict labels of texts, not characters. Each line is a label, a tab and a text; for records, "
        "see --label-field.",
    ),
]
MinCount = Annotated[
    int,
    typer.Option(
        "--min-count", min=1, help="Replace characters that occur fewer times than this by one unknown symbol."
    ),
]

Split = Annotated[
    str,
    typer.Option(
        "--split",
        help="Which text is used for validation: tail (the last part of the text), documents (randomly chosen files, "
        "lines or other documents), char-rnn (the text is cut into as many streams as the batch size; the last 5 % "
        "of each stream).",
        show_default="tail; documents with --one-per-line, --documents-between, --field",
    ),
]

Val = Annotated[float, typer.Option("--val", help="Fraction of the text for validation; 0 means no validation.")]

ValFile = Annotated[
    list[str] | None,
    typer.Option("--val-file", metavar="CORPUS", help="Validate on this text, and train on the whole training text."),
]

Test = Annotated[float, typer.Option("--test", help="Fraction of the text held out for one final test.")]


# Training
Optimizer = Annotated[str, typer.Option("--optimizer", help=f"Optimizer: {', '.join(OPTIMIZERS)}.")]

_RATES = ", ".join(f"{name} {rate:g}" for name, rate in DEFAULT_RATES.items())
LearningRate = Annotated[
    float | None,
    typer.Option("--lr", help="Learning rate. With a schedule, this is the highest rate.", show_default=_RATES),
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
    int,
    typer.Option(
        "--warmup", help="Warm-up steps of --schedule cosine. The warm-up is never longer than a tenth of all steps."
    ),
]

Decay = Annotated[float, typer.Option("--decay", help="Learning-rate factor per epoch (--schedule exponential).")]

DecayAfter = Annotated[
    int, typer.Option("--decay-after", help="Epochs before the learning rate decays (--schedule exponential).")
]

ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm", min=0, callback=off, help="Limit of the global norm of the gradients; 0 means no limit."
    ),
]

ClipValue = Annotated[
    float | None,
    typer.Option("--clip-value", min=0, callback=off, help="Limit of each element of the gradients; 0 means no limit."),
]

SumGradients = Annotated[
    bool,
    typer.Option(
        "--sum-gradients/--mean-gradients",
        help="Use the sum or the mean of the gradients of a window's characters. char-rnn uses the sum.",
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
        "--patience", min=0, callback=off, help="Stop after this many evaluations without improvement; 0 means never."
    ),
]


# Devices
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

Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Continue a run from its newest checkpoint to the end of its budget. --steps, --epochs or --minutes give "
        "it an additional budget; --lr, --schedule or --warmup begin a new schedule. If RUN is a checkpoint file "
        "that is not the newest one of its run, training continues from it in a new run.",
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
        callback=off,
        help="Steps between evaluations. There is also an evaluation at the end of each epoch, unless the last "
        "one was fewer than 100 steps before. With --minutes and without this option, evaluations are an eighth of "
        "the steps apart if epochs are longer than that.",
    ),
]

SaveEvery = Annotated[
    int | None,
    typer.Option(
        "--save-every", min=0, callback=off, help="Steps between checkpoints, in addition to one at each evaluation."
    ),
]

Keep = Annotated[int, typer.Option("--keep", help="Number of newest checkpoints to keep, in addition to the best one.")]

TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Write losses, gradients, gates, states and samples for TensorBoard, in the folder tensorboard of the "
        "run. With --resume: continue these files. It needs TensorFlow.",
    ),
]

TensorBoardDir = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard-dir",
        metavar="DIR",
        help="Another folder for --tensorboard, of this run alone.",
        show_default=False,
    ),
]

Quiet = Annotated[
    int,
    typer.Option(
        "--quiet", "-q", count=True, show_default=False, help="Print no samples. -qq prints only warnings and errors."
    ),
]
