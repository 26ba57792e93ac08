"""The options of `charrnn score`, each declared once; `charrnn.cli.options` has those that other commands share."""

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.arguments import split_run
from charrnn.cli.options import UNKNOWN_HELP
from charrnn.config import RANK_SAMPLES
from charrnn.errors import CharRNNError

Whole = Annotated[bool, typer.Option("--whole", help="Score the text as a whole, not each of its lines.")]
Field = Annotated[
    str | None,
    typer.Option("--field", metavar="NAME", help="Each line is a JSON object; score the text under this name."),
]
After = Annotated[
    str | None,
    typer.Option(
        "--after",
        metavar="TEXT",
        help=r"Score each line as the continuation of this text, which itself does not count. \t and \n are escapes.",
        show_default=False,
    ),
]
ContextField = Annotated[
    str | None,
    typer.Option(
        "--context-field",
        metavar="NAME",
        help="With --field: score each text as the continuation of the text under this name.",
    ),
]
Unknown = Annotated[
    str | None,
    typer.Option(
        "--unknown",
        help=UNKNOWN_HELP,
        show_default="each costs 20.1 bits, or replace if the model was trained with --min-count",
    ),
]
LineEnds = Annotated[bool, typer.Option("--line-ends", help="Count the line break at the end of each line, too.")]
Rank = Annotated[
    bool,
    typer.Option(
        "--rank",
        help="Print two more columns before the others: the estimated guess rank of the line, and the standard error "
        "of "
        "this estimate. The rank is the number of guesses needed to find the line if the likeliest lines are guessed "
        "first. The line break at the end is included. For models of lines or documents.",
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
        help="The score that ranks lines and is printed first: mean (bits per character), worst (bits per character of "
        "the worst 8 characters in a row), excess (bits above the usual bits of a line of this length, divided by "
        "the square root of the length).",
    ),
]
Sort = Annotated[bool, typer.Option("--sort", help="Print the most surprising lines first, by the score of --by.")]
Top = Annotated[int | None, typer.Option("--top", min=1, help="Print the N most surprising lines.", show_default=False)]
Threshold = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="BITS|PERCENT",
        help="Print lines whose score (--by) is at least this number of bits. With --calibrate it can be a percentage "
        "such as 99.9%: then 99.9% of the ordinary lines have a lower score.",
    ),
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="ORDINARY",
        help="Read ordinary lines from this file. With --threshold PERCENT, they set the threshold. Without it, "
        "propose thresholds with their expected false alarms, and score nothing.",
    ),
]
PerDay = Annotated[
    int | None,
    typer.Option(
        "--per-day",
        metavar="N",
        min=1,
        help="With --calibrate: print the false alarms per day, if a day has N lines.",
        show_default="per 100,000 lines",
    ),
]
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 3 if the score of a line is at --threshold or above.")
]
PerChar = Annotated[bool, typer.Option("--per-char", help="Print the bits of every character.")]
HeatMap = Annotated[bool, typer.Option("--heatmap", help="Print the text in colours that show the bits.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a heat map as a web page.", show_default=False)
]
AttentionPage = Annotated[
    Path | None,
    typer.Option(
        "--attention",
        metavar="FILE",
        help="Write a web page that shows where the model looked to predict each character. For models "
        "that were trained with --attention.",
        show_default=False,
    ),
]

# Options that cannot be combined, by the names of their parameters: one, the others, and the message.
_EXCLUDED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("unbuffered", ("sort", "top", "whole"), "--unbuffered prints each line immediately, but {} needs all lines."),
    ("after", ("context_field",), "--after and {} cannot be combined."),
    (
        "whole",
        (
            "field",
            "context_field",
            "after",
            "line_ends",
            "by",
            "sort",
            "top",
            "threshold",
            "calibrate",
            "rank",
            "attention",
        ),
        "--whole scores the text as a whole, but {} is for lines.",
    ),
    ("attention", ("after", "context_field"), "--attention shows whole texts; it cannot be combined with {}."),
    (
        "rank",
        ("per_char", "heatmap", "line_ends", "context_field"),
        "--rank needs whole lines with their ends; it cannot be combined with {}.",
    ),
)
# Options that have an effect only with another option.
_NEEDED = (("rank_samples", "rank"), ("seed", "rank"), ("per_day", "calibrate"), ("exit_code", "threshold"))
_CHOOSING = ("sort", "top", "threshold", "calibrate")
# These have no effect if thresholds are only proposed: then nothing is scored.
_OF_SCORES = ("sort", "top", "unbuffered", "per_char", "heatmap", "html", "rank", "attention")


def check(given: set[str]) -> None:
    """Raise CharRNNError if one of the given options has no effect together with the others."""
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
    if "calibrate" in given and "threshold" not in given:
        for one in _OF_SCORES:
            if one in given:
                raise CharRNNError(
                    f"--calibrate without --threshold scores nothing; {_option(one)} has no effect.",
                    hint="Add a threshold: --threshold 99.9%",
                )
    if "by" in given and given & {"jsonl", "per_char"} and not given & {*_CHOOSING}:
        prints = "--jsonl prints all three scores" if "jsonl" in given else "--per-char prints the bits of characters"
        raise CharRNNError(
            f"{prints}, so --by has no effect without --sort, --top or --threshold.", hint="Leave out --by."
        )


def bits_or_quantile(threshold: str | None, calibrate: str | None) -> tuple[float | None, float | None]:
    """Return the typed threshold as (bits, None), as (None, quantile of the ordinary lines), or (None, None)."""
    if threshold is None:
        return None, None
    is_percent = threshold.endswith("%")
    try:
        number = float(threshold.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not is_percent:
        if not math.isfinite(number):
            raise CharRNNError(
                f"--threshold is {threshold}; it must be a number of bits.",
                hint="Example: --threshold 4. With --calibrate it can be a percentage: --threshold 99.9%",
            )
        if calibrate is not None:
            raise CharRNNError(
                "--calibrate has no effect: --threshold is a number of bits already.",
                hint="Leave out --calibrate, or give a percentage of the ordinary lines: --threshold 99.9%",
            )
        return number, None
    if not 0 < number < 100:
        raise CharRNNError(
            f"--threshold is {threshold}; a percentage must be above 0 and below 100.", hint="Example: 99.9%"
        )
    if calibrate is None:
        raise CharRNNError(
            f"--threshold {threshold} is a quantile of ordinary lines, but no file of ordinary lines was given.",
            hint="Give one: --calibrate ORDINARY",
        )
    return None, number / 100


def only_run(arguments: list[str]) -> tuple[str | None, str]:
    """Return the run (None for the newest) and "" for the text; raise CharRNNError if a text is named."""
    run, texts = split_run(arguments)
    if texts:
        raise CharRNNError(
            f"--calibrate without --threshold scores nothing; {texts[0]} has no effect.",
            hint="Add a threshold: --threshold 99.9%",
        )
    return run, ""


def check_stdin(source: str, calibrate: str | None) -> None:
    """Raise CharRNNError if both the lines and the ordinary lines would be read from stdin."""
    if source == calibrate == "-":
        raise CharRNNError(
            "The ordinary lines and the lines to score cannot both be read from stdin.",
            hint="Name a file for one of them.",
        )


def check_pages(*pages: Path | None) -> None:
    """Raise CharRNNError if two pages would be written into one file."""
    named = [page.resolve() for page in pages if page is not None]
    if len({*named}) < len(named):
        raise CharRNNError("--html and --attention write different pages.", hint="Name a file for each of them.")


def alignment_page(path: Path | None, model: Any, scorer: Any, source: str) -> AbstractContextManager[Any]:
    """Return the page of the attention, or None in its place if none is wanted."""
    if path is None:
        return nullcontext()
    from charrnn.cli.views.alignment_page import AlignmentPage

    return AlignmentPage(path, model, scorer, source)


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")
