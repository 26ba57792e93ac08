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
Until = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="TEXT", help="Stop before this text; may be given several times."),
]
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
