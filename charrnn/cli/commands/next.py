"""`charrnn next`: shows which characters may follow a text."""

from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, prime_ids, run_and_text
from charrnn.cli.console import write_data
from charrnn.cli.views.characters import quoted
from charrnn.cli.views.table import aligned


def next(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE] [TEXT]",
            help=r"A run or checkpoint (default: the best of the newest run), then the text, in quotes; \n is a line "
            "break, - means stdin. Without a text: the characters that may begin one.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of characters to show.")] = 10,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    cells: o.Cells = None,
    jsonl: o.AsJsonl = False,
) -> None:
    """Show the characters that may follow a text, likeliest first."""
    from charrnn.text.decoding import readable

    run, text = run_and_text(arguments or [])
    model = loaded(run)
    found = model.next(prime_ids(model, text, None, unknown, encoding, "the text"), top)
    if jsonl:
        for one in found:
            facts = {**one.to_json(), "character": readable(one.character, model.text), "run": model.run}
            write_data(json_text(facts, ascii_only=False))
        return
    rows = [["CHARACTER", "PROBABILITY", "BITS"]]
    rows += [[quoted(one.character, model.text.bytes), f"{one.probability:.6f}", f"{one.bits:.3f}"] for one in found]
    write_data(aligned(rows, "<>>"))
