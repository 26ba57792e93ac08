"""The options of the commands that train many runs, each declared once."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.arguments import amount
from charrnn.config import DEFAULT_MINUTES
from charrnn.errors import CharRNNError

# Options that may be given with --resume, or with the name of a comparison.
_OF_OUTPUT = {"corpus", "resume", "out", "plot", "html", "as_json", "quiet", "cells"}

TextOrComparison = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CORPUS|NAME",
        help="The text: files (also .gz, .bz2, .xz, .zst), folders, patterns such as '*.txt', or - for stdin. Or the "
        "name of a comparison: its result is shown again.",
        show_default=False,
    ),
]
CellNames = Annotated[
    str,
    typer.Option("--cell", metavar="CELL,CELL...", help="The cells to compare; `charrnn cells` lists them."),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="SETTING=A,B...",
        help="Values of another option of `train` to compare, such as units=128,256 or schedule=cosine,constant. Every "
        "combination of cells and values is a candidate. May be given several times.",
        show_default=False,
    ),
]
Params = Annotated[
    str | None,
    typer.Option(
        "--params",
        metavar="N",
        help="Choose the units of each candidate so that its number of parameters is nearest to N, such as 500k or "
        "1.5M.",
        show_default=False,
    ),
]
SeedCount = Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Train each candidate with N seeds.")]
FirstSeed = Annotated[
    int, typer.Option("--seed", min=0, max=2**62, help="The first seed; the others are the next numbers.")
]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Minutes of each run.",
        show_default=f"{DEFAULT_MINUTES:g} if no other budget is given",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", help="Training steps of each run.", show_default=False)]
Characters = Annotated[
    str | None,
    typer.Option(
        "--characters",
        metavar="N",
        help="Characters that each run reads, such as 20M, whatever its --batch and --seq are.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the comparison, whose folder has all runs. Default: the name of the text, with -compare.",
        show_default=False,
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="NAME",
        help="Continue a comparison where it was. Runs that failed are tried again.",
        show_default=False,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Also draw the losses: .png, .svg or .pdf.", show_default=False),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write the result as a web page.", show_default=False),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the result, warnings and errors.", show_default=False)
]


def check_files(plot: Path | None, html: Path | None) -> None:
    """Raise CharRNNError if a file of the output cannot be written; called before anything is trained."""
    from charrnn.cli.views.picture import check_picture
    from charrnn.cli.views.ranking_page import RankingPage
    from charrnn.cli.views.ranking_plot import MARK

    if plot is not None:
        check_picture(plot, MARK)
    if html is not None:
        RankingPage(html).check()


def count(text: str | None, option: str) -> int | None:
    """Return the number that is typed as 500k or 1.5M."""
    return None if text is None else amount(text, option, "a number such as 500k or 1.5M")


def varied(typed: Sequence[str]) -> dict[str, list[Any]]:
    """Return the settings and values of --vary by name."""
    from charrnn.api.candidates import typed_values

    made: dict[str, list[Any]] = {}
    for one in typed:
        name, values = typed_values(one)
        if name in made:
            raise CharRNNError(f"--vary {name} was given twice.", f"Put its values together: --vary {name}=A,B")
        made[name] = values
    return made


def named_folder(corpus: Sequence[str], out: Path | None, file: str) -> Path | None:
    """Return the folder with a file, of a comparison or search, that is named in place of a text; None if a text is."""
    from charrnn.runs.finding import find_folder

    if len(corpus) != 1 or corpus[0] == "-" or os.path.isfile(corpus[0]):
        return None
    return find_folder(corpus[0], file, out)


def check_unchanged(given: Collection[str], how: str, what: str = "candidates") -> None:
    """Raise CharRNNError if an option is given that an older comparison or search cannot change; `how` it is named."""
    for name in given:
        if name not in _OF_OUTPUT:
            raise CharRNNError(
                f"`{name}` has no effect {how}: it keeps its text, its {what} and its budget.", "Leave it out."
            )
