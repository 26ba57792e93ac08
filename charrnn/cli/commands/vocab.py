"""`charrnn vocab`: lists and counts the characters of a text."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import as_trained, say_if_typed, typed
from charrnn.cli.console import notify, printable, say, write_data
from charrnn.cli.groups import reading, with_options
from charrnn.cli.views.characters import quoted, shown
from charrnn.cli.views.table import aligned
from charrnn.config import TextConfig


@with_options(reading)
def vocab(
    context: typer.Context,
    corpus: o.Texts,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table, with shares as fractions of 1.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN|FILE",
            help="Show only characters that a model or a vocabulary file does not know, with a few places where they "
            "occur. Options that are not given are those of the model. CORPUS may be a model or a vocabulary file too.",
            show_default=False,
        ),
    ] = None,
    cells: o.Cells = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write a vocabulary file for `train --vocab`.")
    ] = None,
) -> None:
    """List and count the characters of a text.

    Shows for each its code point, name, count and share.
    """
    from charrnn.api.vocabulary import characters_of
    from charrnn.cli.views.reading import Reading

    # Only the given options about reading a text: for the others, a model has its own values instead of the defaults.
    names = typed(context) & {field.name for field in fields(TextConfig)}
    given = as_trained({name: context.params[name] for name in names})
    say_if_typed(corpus)
    with Reading() as progress:
        characters = characters_of(corpus, given, context.params["include"] or (), against, progress.show, notify)
    report = characters.report
    if output is not None:
        characters.vocabulary.save(output)
    write_data(json_text(report, ascii_only=False, indent=2) if json else _table(report, characters.of_bytes))
    if output is not None:
        say(f"Wrote {output}: {report['distinct']:,} characters. Next: charrnn train CORPUS --vocab {output}")


def _table(report: dict[str, Any], of_bytes: bool) -> str:
    heads = {"character": "CHARACTER", "code_point": "CODE POINT", "name": "NAME", "count": "COUNT", "share": "SHARE"}
    present = [key for key in (*heads, "places") if any(key in symbol for symbol in report["symbols"])]
    rows = [[heads.get(key, "PLACES") for key in present]]
    rows += [[_cell(key, symbol[key], of_bytes) for key in present] for symbol in report["symbols"]]
    table = aligned(rows, "".join(">" if key in ("count", "share") else "<" for key in present)) if present else ""
    totals = f"{report['distinct']:,} distinct\n"
    if "characters" in report:
        totals = f"{report['characters']:,} characters, {report['distinct']:,} distinct, {report['bytes']:,} bytes\n"
    if "unused" in report:
        unseen = sum(symbol.get("count", 0) for symbol in report["symbols"])
        in_all = f", {unseen:,} characters in all" if "characters" in report else ""
        totals += f"{len(report['symbols']):,} of the distinct are unknown{in_all}\n"
        unused = "".join(_cell("unused", symbol, of_bytes) for symbol in report["unused"][:60]) + (
            " …" if len(report["unused"]) > 60 else ""
        )
        totals += f"{len(report['unused']):,} known ones do not occur" + (f": {unused}\n" if unused else "\n")
    return (f"{table}\n" if report["symbols"] else "") + totals


def _cell(key: str, value: Any, of_bytes: bool) -> str:
    """Return a fact about a character as it is shown."""
    match key:
        case "character":
            return quoted(value, of_bytes)
        case "unused":
            return shown(value, of_bytes)
        case "count":
            return f"{value:,}"
        case "share":
            return f"{100 * value:.3f} %"
        case "places":
            return printable(" ".join(value))
    return str(value)
