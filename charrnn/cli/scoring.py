"""The options of `charrnn score`, each declared once (`charrnn.cli.options` has those of several commands)."""

from pathlib import Path
from typing import Annotated

import typer

from charrnn.config import RANK_SAMPLES
from charrnn.errors import CharRNNError

WholeFile = Annotated[bool, typer.Option("--file", help="The text is one record, not each of its lines.")]
Field = Annotated[
    str | None,
    typer.Option("--field", metavar="NAME", help="Each line is a JSON object; score the text under this name."),
]
After = Annotated[
    str | None,
    typer.Option(
        "--after",
        metavar="TEXT",
        help=r"Score each line as what follows this text, whose own bits do not count; escapes such as \t and \n.",
        show_default=False,
    ),
]
ContextField = Annotated[
    str | None,
    typer.Option(
        "--context-field",
        metavar="NAME",
        help="With --field: score each text as what follows the text under this name.",
    ),
]
LineEnds = Annotated[bool, typer.Option("--line-ends", help="Let line ends count, as characters.")]
Rank = Annotated[
    bool,
    typer.Option(
        "--rank",
        help="Print first each line's guess rank (how many guesses, the likeliest line first, until it would come) and "
        "the standard error of this estimate. The end of a line counts. For models of lines or documents.",
    ),
]
RankSamples = Annotated[
    int | None,
    typer.Option(
        "--rank-samples",
        metavar="N",
        min=1,
        help="With --rank: estimate from N samples.",
        show_default=f"{RANK_SAMPLES:,}",
    ),
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        help="What ranks lines, and is printed first: mean (bits per character), worst (that of the worst 8 "
        "characters in a row), excess (bits above what such a line usually costs).",
    ),
]
Sort = Annotated[bool, typer.Option("--sort", help="Print the most surprising first, as --by ranks them.")]
Top = Annotated[int | None, typer.Option("--top", min=1, help="Print the N most surprising.", show_default=False)]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", metavar="BITS", help="Print those whose number of --by is so high or higher."),
]
PerChar = Annotated[bool, typer.Option("--per-char", help="Print the bits of every character.")]
HeatMap = Annotated[bool, typer.Option("--heatmap", help="Print the text, coloured by bits.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a heat map as a web page.", show_default=False)
]
Unbuffered = Annotated[
    bool, typer.Option("--unbuffered", help="Score and print each line as it comes, for pipes that live long.")
]

# Options that exclude each other, by the names of their parameters: what is given with one of the second, and why not.
_EXCLUDED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("unbuffered", ("sort", "top", "file"), "--unbuffered prints each line as it comes; {} needs all of them."),
    ("after", ("context_field",), "--after and {} exclude each other."),
    (
        "file",
        ("field", "context_field", "after", "line_ends", "by", "sort", "top", "threshold", "rank"),
        "--file scores a text as one; {} is for lines.",
    ),
    (
        "rank",
        ("per_char", "heatmap", "line_ends", "context_field"),
        "--rank is of whole lines, each with its end; it cannot be combined with {}.",
    ),
)
# Options that have an effect only with another one.
_NEEDED = (("rank_samples", "rank"), ("seed", "rank"))
_CHOOSING = ("sort", "top", "threshold")


def check(given: set[str]) -> None:
    """Raise CharRNNError if one of the options that are given has no effect beside the others."""
    for one, others, said in _EXCLUDED:
        for other in others:
            if {one, other} <= given:
                raise CharRNNError(said.format(_option(other)), hint="Leave out one of them.")
    for one, other in _NEEDED:
        if one in given and other not in given:
            raise CharRNNError(
                f"{_option(one)} has no effect without {_option(other)}.",
                hint=f"Add {_option(other)}, or leave out {_option(one)}.",
            )
    if "by" in given and given & {"jsonl", "per_char"} and not given & {*_CHOOSING}:
        prints = "--jsonl prints every number" if "jsonl" in given else "--per-char prints the bits of characters"
        raise CharRNNError(
            f"{prints}; --by has no effect with it and without --sort, --top or --threshold.", hint="Leave it out."
        )


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")
