"""The options of `tune`, each declared once (`charrnn.cli.training` has those that `train` shares)."""

from typing import Annotated

import typer

from charrnn.config import RANGES, RATES, SEARCH_MINUTES, SEARCHED, TRIALS_PER_SEARCH, Range

TextOrSearch = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CORPUS",
        help="Text files (also .gz, .bz2, .xz, .zst), folders, patterns such as '*.txt', or - for stdin; or the name "
        "of a search.",
    ),
]

Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Time for the whole search, in minutes.",
        show_default=f"{SEARCH_MINUTES:g} if there are no --trials",
    ),
]
TrialMinutes = Annotated[
    float | None,
    typer.Option(
        "--trial-minutes",
        help="Length of each trial, in minutes.",
        show_default=f"--minutes divided by {TRIALS_PER_SEARCH}",
    ),
]
TrialCount = Annotated[
    int | None, typer.Option("--trials", help="Number of trials, in place of a time; with --steps.", show_default=False)
]
TrialSteps = Annotated[
    int | None, typer.Option("--steps", help="Length of each of the --trials, in steps.", show_default=False)
]
Searched = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="NAMES",
        help=f"What is searched, such as lr,dropout. The others keep their defaults. Default: {', '.join(SEARCHED)}, "
        "but not what is fixed.",
        show_default=False,
    ),
]
KeepAll = Annotated[
    bool, typer.Option("--keep-all", help="Keep the weights of all trials, not only those of the best one.")
]
ResumeSearch = Annotated[
    str | None,
    typer.Option(
        "--resume", metavar="SEARCH", help="Go on with a search that was interrupted, or show the result of one again."
    ),
]
SearchName = Annotated[
    str | None,
    typer.Option("--name", help="Name of the search. Default: the name of the corpus and -tune.", show_default=False),
]


def _searched(one: Range, of: str = "") -> str:
    """Return how help shows the values that are searched."""
    if one.values:
        return f"searched: {', '.join(map(str, one.values))}"
    return f"searched: {one.low:g} to {one.high:g}{of}"


Rate = Annotated[
    float | None,
    typer.Option(
        "--lr", help="Fix the learning rate.", show_default=_searched(RATES, " times the optimizer's default")
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option("--dropout", help="Fix the dropout rate.", show_default=_searched(RANGES["dropout"])),
]
Units = Annotated[
    int | None, typer.Option("--units", help="Fix the units per layer.", show_default=_searched(RANGES["units"]))
]
Layers = Annotated[
    int | None, typer.Option("--layers", help="Fix the number of layers.", show_default=_searched(RANGES["layers"]))
]
Batch = Annotated[
    int | None, typer.Option("--batch", help="Fix the batch size.", show_default=_searched(RANGES["batch"]))
]
Seq = Annotated[
    int | None, typer.Option("--seq", help="Fix the characters per window.", show_default=_searched(RANGES["seq"]))
]
