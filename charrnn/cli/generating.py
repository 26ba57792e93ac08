"""The options of the commands that generate text, each declared once (see also `charrnn.cli.options`)."""

from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.model import Model

Temperature = Annotated[
    float | None,
    typer.Option(
        "--temp",
        "-t",
        min=0.0,
        help="Temperature: lower values give more predictable text; 0 always takes the likeliest character.",
        show_default="1; for complete 0",
    ),
]
TemperatureOfFillings = Annotated[
    float | None,
    typer.Option(
        "--temp",
        "-t",
        help="Propose fillings that are drawn at this temperature, instead of the likeliest ones.",
        show_default=False,
    ),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Draw only from the K likeliest characters.", show_default=False)
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        help="Draw only from the likeliest characters whose probabilities add up to this.",
        show_default=False,
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        "--min-p",
        help="Draw only characters with at least this fraction of the highest probability.",
        show_default=False,
    ),
]
Typical = Annotated[
    float | None,
    typer.Option(
        "--typical",
        help="Draw only from the most typical characters, whose surprise is closest to the average surprise. Their "
        "probabilities add up to this.",
        show_default=False,
    ),
]
Beam = Annotated[
    int | None,
    typer.Option(
        "--beam",
        min=1,
        metavar="N",
        help="Do not draw characters, but search for the likeliest text, with N candidates. Good for short answers; "
        "longer texts become dull and repeat themselves.",
        show_default=False,
    ),
]
Best = Annotated[
    int | None,
    typer.Option(
        "--best",
        metavar="N",
        min=1,
        help="Print the N likeliest texts that --beam finds, with their probabilities. N is at most the number of "
        "candidates.",
        show_default=False,
    ),
]
Until = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="TEXT", help="Stop before this text. May be given several times."),
]
KeepUntil = Annotated[
    bool, typer.Option("--keep-until", help="Stop after the text of --until, and print that text too.")
]
Allow = Annotated[
    str | None,
    typer.Option(
        "--allow",
        metavar="CHARACTERS",
        help="Draw only these characters, and those that end a text (--until, --lines).",
        show_default=False,
    ),
]
Forbid = Annotated[
    str | None,
    typer.Option("--forbid", metavar="CHARACTERS", help="Never draw these characters.", show_default=False),
]
NoRepeat = Annotated[
    int | None,
    typer.Option(
        "--no-repeat",
        metavar="N",
        min=1,
        help="Never repeat a sequence of N characters of the prime and the sample, unless no other character is left.",
        show_default=False,
    ),
]

# Options of `sample` only.
Length = Annotated[
    int,
    typer.Option(
        "--length",
        "-n",
        min=0,
        help="Largest number of characters. A model of lines may exceed it to finish its last line.",
    ),
]
Lines = Annotated[int | None, typer.Option("--lines", min=1, help="Stop after this many lines.", show_default=False)]
Documents = Annotated[
    int | None,
    typer.Option(
        "--documents",
        min=1,
        help="Stop after this many documents. The end marker of each is printed too. For models that were trained with "
        "--documents-between, --field, --one-per-line or --separator.",
        show_default=False,
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "--count",
        "-c",
        min=0,
        help="Number of samples, generated in parallel. For a model of lines, each is a line; for a model of "
        "documents, a document.",
        show_default="1",
    ),
]
Temperatures = Annotated[
    list[float] | None,
    typer.Option(
        "--temp",
        "-t",
        min=0.0,
        help="Temperature: lower values give more predictable text; 0 always takes the likeliest character. If given "
        "several times: samples at each temperature.",
        show_default="1",
    ),
]
Prime = Annotated[
    list[str] | None,
    typer.Option(
        "--prime",
        "-p",
        help=r"Text to continue; it is printed first. \n is a line break, - means stdin. If given several times: "
        "samples for each text.",
    ),
]
NoPrime = Annotated[bool, typer.Option("--no-prime", help="Print only the text after the prime.")]
PrimeFile = Annotated[
    str | None,
    typer.Option(
        "--prime-file",
        metavar="FILE",
        help="Continue the text of this file. One line break at its end is removed (also from stdin).",
        show_default=False,
    ),
]
Unique = Annotated[bool, typer.Option("--unique", help="Skip samples equal to an earlier one.")]
Novel = Annotated[bool, typer.Option("--novel", help="Skip samples that occur in the training text, ignoring case.")]
NovelTo = Annotated[
    list[str] | None,
    typer.Option("--novel-to", metavar="CORPUS", help="Skip samples that occur in this text, ignoring case."),
]
MinLength = Annotated[
    int | None,
    typer.Option(
        "--min-length",
        min=1,
        help="Skip samples with fewer characters; the prime and the line break do not count.",
        show_default=False,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        min=1,
        help="Skip samples with more characters; the prime and the line break do not count.",
        show_default=False,
    ),
]
Sort = Annotated[
    bool,
    typer.Option("--sort", help="Print the most plausible samples first: those with the fewest bits per character."),
]
Clamp = Annotated[
    list[str] | None,
    typer.Option(
        "--clamp",
        metavar="UNIT=VALUE",
        help="Hold a unit of the hidden state at this value, for example layer1/c/117=2.5. It has the value after each "
        "step, also while the prime is read. May be given several times.",
        show_default=False,
    ),
]
Csv = Annotated[
    bool, typer.Option("--csv", help="Print a table of comma-separated values, with the bits of each sample.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this new file. With {n} in the name: write each sample to its own file, {n} being its number.",
        show_default=False,
    ),
]
Ids = Annotated[bool, typer.Option("--ids", help="Print the ids of characters instead of text.")]
ShowSurprisal = Annotated[
    bool, typer.Option("--show-surprisal", help="Colour each character by how surprising it is to the model.")
]

# Options of `complete` only.
CompleteLength = Annotated[int, typer.Option("--length", "-n", min=0, help="Largest number of characters.")]
Append = Annotated[
    str | None,
    typer.Option(
        "--append",
        metavar="TEXT",
        help="Add this text after each line. Default: the --loss-after character of the model, if a line lacks it.",
        show_default=False,
    ),
]
CompleteUntil = Annotated[
    list[str] | None,
    typer.Option("--until", metavar="TEXT", help="Stop before this text.", show_default="the end of the line"),
]
Check = Annotated[
    str | None,
    typer.Option("--check", metavar="TARGETS", help="Count the completions that equal the same line of this file."),
]
ShowAttention = Annotated[
    bool,
    typer.Option(
        "--show-attention",
        help="Show at which characters of the line the model looked for each character of the completion. For models "
        "that were trained with --attention.",
    ),
]


def held(model: "Model", clamp: list[str] | None) -> "Model":
    """Return a model that holds the units of --clamp at their values; raise CharRNNError for other words."""
    if not clamp:
        return model
    from charrnn.api.clamping import clamped

    values: dict[str, float] = {}
    for given in clamp:
        name, _, typed = (part.strip() for part in given.partition("="))
        try:
            value = float(typed)
        except ValueError:
            raise CharRNNError(
                f"--clamp is {given!r}; it must be a unit, = and a number.", hint="Example: --clamp layer1/c/117=2.5"
            ) from None
        if name in values and values[name] != value:
            raise CharRNNError(
                f"--clamp holds {name} at {values[name]:g} and at {value:g}.", hint="Give one value for each unit."
            )
        values[name] = value
    return clamped(model, {"clamp": values})
