"""The options of the commands, each declared once. Defaults and checks live in `charrnn.config`."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.config import CELLS, DEFAULT_MINUTES, OPTIMIZERS, PRESETS, SCHEDULES, SPLITS


def _off(value: float | None) -> float | None:
    """Return None, which means off, for the 0 that a command line can say."""
    return None if value == 0 else value


# Arguments
Texts = Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text files, folders, or - for stdin.")]
Corpus = Annotated[list[str] | None, typer.Argument(metavar="[CORPUS...]", help="Text files, folders, or - for stdin.")]
RunOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|FILE]",
        help="A run's name, its folder, or a checkpoint file; by default the newest run's best.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The seed of everything random.")]

# Model
MODEL = "Model"
CellName = Annotated[str, typer.Option("--cell", help=f"The cell: {', '.join(CELLS)}.", rich_help_panel=MODEL)]
Layers = Annotated[int, typer.Option("--layers", help="Stacked layers.", rich_help_panel=MODEL)]
Units = Annotated[int, typer.Option("--units", help="Units of each layer.", rich_help_panel=MODEL)]
Embedding = Annotated[
    int | None,
    typer.Option(
        "--embedding", callback=_off, help="Width of the embedding; 0 is one-hot input.", rich_help_panel=MODEL
    ),
]
Vocab = Annotated[
    Path | None,
    typer.Option(
        "--vocab", help="A vocabulary file of `charrnn vocab -o`; else the corpus' own.", rich_help_panel=MODEL
    ),
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help=f"Settings to start from: {', '.join(PRESETS)}. Other options override them."),
]

# Data
DATA = "Data"
Batch = Annotated[int, typer.Option("--batch", help="Streams read side by side.", rich_help_panel=DATA)]
Seq = Annotated[
    int, typer.Option("--seq", help="Characters a window: how far gradients go back.", rich_help_panel=DATA)
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help=f"What validates: {', '.join(SPLITS)}. tail: the contiguous last --val of the text. char-rnn: the last "
        "5 % of each stream.",
        rich_help_panel=DATA,
    ),
]
Val = Annotated[float, typer.Option("--val", help="The share that validates; 0 for none.", rich_help_panel=DATA)]

# Optimization
OPTIMIZATION = "Optimization"
Dropout = Annotated[
    float,
    typer.Option("--dropout", help="Share of each layer's outputs that is dropped.", rich_help_panel=OPTIMIZATION),
]
Optimizer = Annotated[
    str, typer.Option("--optimizer", help=f"One of {', '.join(OPTIMIZERS)}.", rich_help_panel=OPTIMIZATION)
]
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="Learning rate; by default the optimizer's.", rich_help_panel=OPTIMIZATION)
]
Epsilon = Annotated[
    float | None, typer.Option("--epsilon", help="The optimizer's epsilon.", rich_help_panel=OPTIMIZATION)
]
Rho = Annotated[
    float | None, typer.Option("--rho", help="Decay of rmsprop and adadelta.", rich_help_panel=OPTIMIZATION)
]
Momentum = Annotated[float, typer.Option("--momentum", help="Momentum of sgd.", rich_help_panel=OPTIMIZATION)]
WeightDecay = Annotated[
    float | None, typer.Option("--weight-decay", help="Decoupled weight decay.", rich_help_panel=OPTIMIZATION)
]
Schedule = Annotated[
    str,
    typer.Option(
        "--schedule",
        help=f"How the rate goes: {', '.join(SCHEDULES)} (cosine warms up first).",
        rich_help_panel=OPTIMIZATION,
    ),
]
Warmup = Annotated[int, typer.Option("--warmup", help="Steps of warm-up (cosine).", rich_help_panel=OPTIMIZATION)]
Decay = Annotated[float, typer.Option("--decay", help="Factor an epoch (exponential).", rich_help_panel=OPTIMIZATION)]
DecayAfter = Annotated[
    int, typer.Option("--decay-after", help="Epochs before it decays (exponential).", rich_help_panel=OPTIMIZATION)
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm",
        callback=_off,
        help="Limit of the gradients' global norm; 0 is none.",
        rich_help_panel=OPTIMIZATION,
    ),
]
ClipValue = Annotated[
    float | None,
    typer.Option(
        "--clip-value", callback=_off, help="Limit of each gradient element; 0 is none.", rich_help_panel=OPTIMIZATION
    ),
]
SumGradients = Annotated[
    bool,
    typer.Option(
        "--sum-gradients/--mean-gradients",
        help="Sum gradients over a window's characters, as char-rnn does, or average them.",
        rich_help_panel=OPTIMIZATION,
    ),
]

# Budget
BUDGET = "Budget"
Epochs = Annotated[
    float | None, typer.Option("--epochs", help="Passes over the text.", show_default=False, rich_help_panel=BUDGET)
]
Steps = Annotated[int | None, typer.Option("--steps", help="Windows.", show_default=False, rich_help_panel=BUDGET)]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Minutes, everything included.",
        show_default=f"{DEFAULT_MINUTES:g} if no other budget is given",
        rich_help_panel=BUDGET,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        callback=_off,
        help="Stop after so many evaluations without improvement; 0 is never.",
        rich_help_panel=BUDGET,
    ),
]

# The run
RUN = "Run"
Name = Annotated[
    str | None,
    typer.Option("--name", help="The run's name; by default the corpus'.", show_default=False, rich_help_panel=RUN),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The folder of runs.", show_default="checkpoints", rich_help_panel=RUN),
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Continue a run from its newest checkpoint.", rich_help_panel=RUN),
]
EvalEvery = Annotated[
    int | None,
    typer.Option(
        "--eval-every", callback=_off, help="Steps between evaluations, besides each epoch's end.", rich_help_panel=RUN
    ),
]
SaveEvery = Annotated[
    int | None,
    typer.Option(
        "--save-every", callback=_off, help="Steps between checkpoints, besides evaluations.", rich_help_panel=RUN
    ),
]
Keep = Annotated[int, typer.Option("--keep", help="Newest checkpoints to keep, besides the best.", rich_help_panel=RUN)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only warnings and the last lines.", rich_help_panel=RUN)
]
