"""The options of the commands that generate text, each declared once (`charrnn.cli.options` has all others)."""

from typing import Annotated

import typer

Temperature = Annotated[
    float | None,
    typer.Option(
        "--temp",
        "-t",
        min=0.0,
        help="Temperature: lower is safer, 0 takes the likeliest.",
        show_default="1; of complete 0",
    ),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Draw from the K likeliest characters.", show_default=False)
]
TopP = Annotated[
    float | None,
    typer.Option("--top-p", help="Draw from the likeliest that together have this probability.", show_default=False),
]
MinP = Annotated[
    float | None,
    typer.Option("--min-p", help="Draw from those with this share of the likeliest's probability.", show_default=False),
]
Typical = Annotated[
    float | None,
    typer.Option(
        "--typical",
        help="Draw from those about as surprising as expected that together have this probability.",
        show_default=False,
    ),
]
Beam = Annotated[
    int | None,
    typer.Option(
        "--beam",
        min=1,
        help="Draw nothing: search for the likeliest text, along N beginnings. Good for short answers; what is long "
        "becomes bland and repeats itself.",
        show_default=False,
    ),
]
Best = Annotated[
    int | None,
    typer.Option(
        "--best",
        metavar="N",
        min=1,
        help="Print the N likeliest texts that --beam finds, at most as many as it follows, with their probabilities.",
        show_default=False,
    ),
]
Until = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="TEXT", help="Stop before this text; may be given several times."),
]
KeepUntil = Annotated[bool, typer.Option("--keep-until", help="Stop after the text of --until, and print it too.")]
Allow = Annotated[
    str | None,
    typer.Option(
        "--allow",
        metavar="CHARACTERS",
        help="Draw only these, and what ends a text: --until, --lines.",
        show_default=False,
    ),
]
Forbid = Annotated[
    str | None,
    typer.Option("--forbid", metavar="CHARACTERS", help="Never draw these.", show_default=False),
]
NoRepeat = Annotated[
    int | None,
    typer.Option(
        "--no-repeat",
        metavar="N",
        min=1,
        help="Never write N characters that stand there already, unless nothing else is left.",
        show_default=False,
    ),
]

# Of `sample` alone.
Length = Annotated[
    int,
    typer.Option(
        "--length",
        "-n",
        min=0,
        help="Characters to sample, at most; in a model of lines the last of several lines is finished.",
    ),
]
Lines = Annotated[int | None, typer.Option("--lines", min=1, help="Stop behind so many lines.", show_default=False)]
Count = Annotated[
    int | None,
    typer.Option(
        "--count",
        "-c",
        min=0,
        help="Samples, made side by side; in a model of lines each is a line.",
        show_default="1",
    ),
]
Prime = Annotated[
    str,
    typer.Option("--prime", "-p", help=r"Text to go on from; it is printed first. \n is a line break, - is stdin."),
]
NoPrime = Annotated[bool, typer.Option("--no-prime", help="Do not print the prime, only what follows it.")]
PrimeFile = Annotated[
    str | None,
    typer.Option(
        "--prime-file",
        metavar="FILE",
        help="Go on from what this file holds, but for one line break at its end, as of stdin.",
        show_default=False,
    ),
]
Unique = Annotated[bool, typer.Option("--unique", help="Skip samples that were there already.")]
Novel = Annotated[bool, typer.Option("--novel", help="Skip samples that stand in the training text.")]
NovelTo = Annotated[
    list[str] | None, typer.Option("--novel-to", metavar="CORPUS", help="Skip samples that stand in this text.")
]
Ids = Annotated[bool, typer.Option("--ids", help="Print ids instead of characters.")]
ShowSurprisal = Annotated[
    bool, typer.Option("--show-surprisal", help="Colour characters by how surprising they were to the model.")
]

# Of `complete` alone.
CompleteLength = Annotated[int, typer.Option("--length", "-n", min=0, help="Characters, at most.")]
Append = Annotated[
    str | None,
    typer.Option(
        "--append",
        metavar="TEXT",
        help="Put this behind each line; by default the model's --loss-after, where a line lacks it.",
        show_default=False,
    ),
]
CompleteUntil = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="TEXT", help="Stop before this text.", show_default="the end of the line"),
]
Check = Annotated[
    str | None,
    typer.Option("--check", metavar="TARGETS", help="Count how many are exactly the lines of this file."),
]
Unbuffered = Annotated[
    bool, typer.Option("--unbuffered", help="Complete and print each line as it comes, for pipes that live long.")
]
