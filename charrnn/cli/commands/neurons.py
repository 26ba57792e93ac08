"""`charrnn neurons`: shows what single units do."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, say_if_typed, split_run, typed
from charrnn.cli.console import write_data
from charrnn.config import READ_LIMIT, SHOWN
from charrnn.errors import CharRNNError


def neurons(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE] [TEXT]...",
            help="A run or checkpoint (default: the newest run), then text files or folders (default: stdin).",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Read the first N characters.")
    ] = READ_LIMIT,
    feature: Annotated[
        str | None,
        typer.Option("--feature", metavar="NAME", help="Show the units of one feature only.", show_default=False),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", metavar="N", min=1, help="Show N units of each feature.", show_default="1; with --feature 10"
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="UNIT",
            help="Print the text instead, in colours that show the value of this unit, for example layer0/c/42; in a "
            "pipe, a row with the value for each character. May be given several times.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a web page too: a text in the colours of a unit that you choose, and the gates.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        int, typer.Option("--show", metavar="N", min=1, help="With --html: the page shows N characters of the text.")
    ] = SHOWN,
    as_json: o.AsJson = False,
    cells: o.Cells = None,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
) -> None:
    """Show which units follow which features of a text.

    For each feature (inside quotes, position in the line, ...) the command prints how often it holds, or its mean, and
    the unit with the highest correlation, Pearson's R. For each gate it prints the fraction of the time for which it is
    open (above 0.9) and shut (below 0.1), on average and for the unit where it is largest.
    """
    from charrnn.cli.views.activation_map import show_units
    from charrnn.cli.views.neurons import facts, table
    from charrnn.cli.views.neurons_page import NeuronsPage
    from charrnn.cli.views.reading import Drawing, Reading

    given = typed(context)
    _check(given)
    run, sources = split_run(arguments or [])
    sources = sources or ["-"]
    say_if_typed(sources)
    model = loaded(run)
    config = model.read_as(encoding, errors or (model.text.errors if model.text.bytes else "replace"))
    with Reading() as reading:
        part = model.part_of(sources, config, limit=limit, unknown=unknown, watch=reading.show)
    characters = Drawing("Characters")
    if unit:
        with characters:
            values = model.activations(part, unit, exact=False, watch=characters.show)
        show_units(model.vocab.decode(part.ids()), unit, values, config)
        return
    with NeuronsPage(html) if html else nullcontext() as page:
        with characters:
            found = model.neurons(part, features=feature, watch=characters.show)
        if page:
            page.write(model, found, part.cut(0, show), "stdin" if "-" in sources else ", ".join(sources))
    count = top or (1 if feature is None else 10)
    with_gates = feature is None
    write_data(facts(found, count, model.run, with_gates) if as_json else table(found, count, with_gates))


def _check(given: set[str]) -> None:
    """Raise CharRNNError if one of the given options has no effect together with the others."""
    for other in ("feature", "top", "html", "as_json"):
        if "unit" in given and other in given:
            name = other.removeprefix("as_")
            raise CharRNNError(f"--unit prints the text; --{name} has no effect with it.", "Leave out one of them.")
    if "show" in given and "html" not in given:
        raise CharRNNError("--show has no effect without --html.", hint="Add --html FILE, or leave out --show.")
