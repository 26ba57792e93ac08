"""`charrnn fill`: writes what is missing between two given ends of a text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from charrnn.cli import generating as g
from charrnn.cli import options as o
from charrnn.cli.arguments import check_no_file, loaded, run_and_text, say_if_typed
from charrnn.cli.console import TextWriter, notify, write_data
from charrnn.cli.escapes import unescaped
from charrnn.config import CANDIDATES, GAP, LONGEST_FILLING
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError


def fill(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE] [TEXT]",
            help="A run or checkpoint (default: the best of the newest run), then the text with a gap, in quotes. "
            "Without a text, each line of stdin is one.",
        ),
    ] = None,
    reverse_run: Annotated[
        str | None,
        typer.Option(
            "--reverse-run",
            metavar="RUN",
            help="A run that reads in the other direction (train --reverse). Both models propose fillings, which are "
            "then ranked by both.",
            show_default=False,
        ),
    ] = None,
    gap: Annotated[
        str, typer.Option("--gap", metavar="TEXT", help="What marks the gap; a longer run of it is one gap.")
    ] = GAP,
    length: Annotated[
        int, typer.Option("--length", "-n", min=1, help="Write at most this many characters.")
    ] = LONGEST_FILLING,
    candidates: Annotated[
        int,
        typer.Option("--candidates", metavar="N", min=1, help="A model proposes N fillings of each length."),
    ] = CANDIDATES,
    temp: g.TemperatureOfFillings = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    best: Annotated[
        int | None,
        typer.Option(
            "--best",
            metavar="N",
            min=1,
            help="Print the N likeliest fillings of each text, with their bits.",
            show_default=False,
        ),
    ] = None,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
    jsonl: o.AsJsonl = False,
) -> None:
    """Write what is missing in a text, between its two ends.

    By default the text is printed with its likeliest filling. With --best, each line is the number of the text, the
    bits that the filling costs, with all that the models read after it, and the text.
    """
    from charrnn.api.json_text import json_text
    from charrnn.text.decoding import readable
    from charrnn.text.lines import portions

    run, text = run_and_text(arguments or [])
    if gap not in text:
        check_no_file(run, text, "fill")
    model = loaded(run, engine, weights)
    other = None if reverse_run is None else loaded(reverse_run, engine, weights)
    of_bytes = model.text.bytes
    config = model.read_as(encoding, errors or ("strict" if of_bytes else "replace"))
    writer = TextWriter(config.encoding, of_bytes)
    if not text:
        say_if_typed(["-"], "Reading lines from the terminal; Ctrl-D ends them.")
    read = (one.encode("latin-1") if of_bytes else one for some in portions("-", config, False, notify) for one in some)
    for number, line in enumerate([unescaped(text, of_bytes)] if text else read, 1):
        with in_line(None if text else number):
            found = model.fill(
                line,
                reverse=other,
                gap=unescaped(gap, of_bytes),
                candidates=candidates,
                best=best or 1,
                length=length,
                temperature=temp,
                seed=seed,
                unknown=unknown,
            )
        for filling in found:
            if jsonl:
                shown = {name: readable(value, config) for name, value in filling.to_json().items() if name != "bits"}
                facts = {"line": number, **filling.to_json(), **shown, "run": model.run}
                write_data(json_text(facts, ascii_only=False))
                continue
            shown_text = filling.text.replace("\n", "\\n") + "\n"
            writer.write(shown_text if best is None else f"{number}\t{filling.bits:.4f}\t{shown_text}")


@contextmanager
def in_line(number: int | None) -> Iterator[None]:
    """Say in an error which line of stdin it is about."""
    try:
        yield
    except CharRNNError as error:
        if number is None:
            raise
        raise CharRNNError(f"Line {number:,}: {error.message}", error.hint) from None
