"""`charrnn vocab`: which characters a text is made of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import printable, say, write_data
from charrnn.cli.reading import read, tell
from charrnn.config import DEFAULT_TEXT, TextConfig

if TYPE_CHECKING:
    from charrnn.vocab import Vocabulary

# How many places of an unknown character are shown.
PLACES = 3

# Unicode gives control characters no name of their own; these are its formal aliases, U+0000 to U+001F.
# fmt: off
_CONTROLS = (
    "NULL", "START OF HEADING", "START OF TEXT", "END OF TEXT", "END OF TRANSMISSION", "ENQUIRY", "ACKNOWLEDGE",
    "ALERT", "BACKSPACE", "CHARACTER TABULATION", "LINE FEED", "LINE TABULATION", "FORM FEED", "CARRIAGE RETURN",
    "SHIFT OUT", "SHIFT IN", "DATA LINK ESCAPE", "DEVICE CONTROL ONE", "DEVICE CONTROL TWO", "DEVICE CONTROL THREE",
    "DEVICE CONTROL FOUR", "NEGATIVE ACKNOWLEDGE", "SYNCHRONOUS IDLE", "END OF TRANSMISSION BLOCK", "CANCEL",
    "END OF MEDIUM", "SUBSTITUTE", "ESCAPE", "INFORMATION SEPARATOR FOUR", "INFORMATION SEPARATOR THREE",
    "INFORMATION SEPARATOR TWO", "INFORMATION SEPARATOR ONE",
)
# fmt: on
_OTHER_CONTROLS = {"\x7f": "DELETE", "\x85": "NEXT LINE"}
_NAMELESS = {"Cc": "CONTROL CHARACTER", "Co": "PRIVATE USE"}


def vocab(
    corpus: o.Texts,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table; a share is then a fraction of 1.")
    ] = False,
    include: o.Include = None,
    encoding: o.Encoding = DEFAULT_TEXT.encoding,
    errors: o.Errors = DEFAULT_TEXT.errors,
    newlines: o.Newlines = DEFAULT_TEXT.newlines,
    normalize: o.Normalize = DEFAULT_TEXT.normalize,
    lower: o.Lower = DEFAULT_TEXT.lower,
    bytes: o.Bytes = DEFAULT_TEXT.bytes,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN|FILE",
            help="Show only what a model, or a vocabulary file, has never seen, with a few places.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write a vocabulary file, which `train --vocab` takes.")
    ] = None,
) -> None:
    """Show which characters a text is made of: each with its code point, name, count and share."""
    from charrnn.vocab import Vocabulary

    text = read(corpus, TextConfig(encoding, errors, newlines, normalize, lower, bytes), include)
    tell(text.notices)
    counts = text.counted
    # Equal counts in the order of code points: the table of a text is always the same.
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    total = len(text)
    symbols: list[dict[str, Any]] = [
        {
            "character": character,
            "code_point": f"U+{ord(character):04X}",
            "name": character_name(character),
            "count": count,
            "share": count / total,
        }
        for character, count in ranked
    ]
    report = {"characters": total, "distinct": len(symbols), "bytes": text.byte_count, "symbols": symbols}
    if against is not None:
        known = _known(against)
        report["symbols"] = [
            {**symbol, "places": list(text.places(symbol["character"], PLACES))}
            for symbol in symbols
            if symbol["character"] not in known.symbols
        ]
        report["unused"] = [symbol for symbol in known.symbols if symbol not in counts]
    if output is not None:
        Vocabulary.of(counts).save(output)
    write_data(_json(report) if json else _table(report))
    if output is not None:
        say(f"Wrote {output}: {len(symbols):,} characters. Next: charrnn train CORPUS --vocab {output}")


def _known(target: str) -> "Vocabulary":
    """Return the vocabulary of a model or of a vocabulary file."""
    from charrnn.checkpoint import read_header
    from charrnn.runs import find_checkpoint
    from charrnn.vocab import Vocabulary

    return Vocabulary.load(target) if target.endswith(".json") else read_header(find_checkpoint(target)).vocab


def character_name(character: str) -> str:
    """Return the Unicode name of a character, for a control character its formal alias."""
    import unicodedata

    if character < " ":
        return _CONTROLS[ord(character)]
    nameless = _OTHER_CONTROLS.get(character) or _NAMELESS.get(unicodedata.category(character), "UNASSIGNED")
    return unicodedata.name(character, nameless)


def _json(report: dict[str, Any]) -> str:
    import json

    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


def _table(report: dict[str, Any]) -> str:
    rows = [("CHARACTER", "CODE POINT", "NAME", "COUNT", "SHARE", "PLACES" if "unused" in report else "")]
    for symbol in report["symbols"]:
        shown, share = repr(symbol["character"]), f"{100 * symbol['share']:.3f} %"
        places = printable(" ".join(symbol.get("places", ())))
        rows.append((shown, symbol["code_point"], symbol["name"], f"{symbol['count']:,}", share, places))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{shown:<{widths[0]}}  {code:<{widths[1]}}  {name:<{widths[2]}}  {count:>{widths[3]}}  {share:>{widths[4]}}  "
        f"{places}".rstrip()
        + "\n"
        for shown, code, name, count, share, places in rows
    ]
    totals = f"{report['characters']:,} characters, {report['distinct']:,} distinct, {report['bytes']:,} bytes\n"
    if "unused" in report:
        unseen = sum(symbol["count"] for symbol in report["symbols"])
        totals += f"{len(report['symbols']):,} of the distinct are unknown, {unseen:,} characters in all\n"
        totals += f"{len(report['unused']):,} known ones do not occur: {printable(''.join(report['unused'][:60]))}\n"
    return "".join(lines) + "\n" + totals
