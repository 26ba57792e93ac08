"""`charrnn vocab`: which characters a text is made of."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import printable, say, write_data
from charrnn.cli.reading import read, tell
from charrnn.cli.views.characters import character_name
from charrnn.cli.views.table import aligned
from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.errors import CharRNNError
from charrnn.json_text import json_text

if TYPE_CHECKING:
    from charrnn.text.text import Text
    from charrnn.text.vocabulary import Vocabulary

# How many places of an unknown character are shown.
PLACES = 3


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
            help="Show only what a model, or a vocabulary file, has never seen, with a few places; CORPUS may be a "
            "model or a vocabulary file too.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write a vocabulary file, which `train --vocab` takes.")
    ] = None,
) -> None:
    """Show which characters a text is made of: each with its code point, name, count and share."""
    from charrnn.text.vocabulary import Vocabulary

    known = None if against is None else _known(against)
    other = _known_alone(corpus)
    if other is not None:
        report: dict[str, Any] = {"distinct": len(other.symbols), "symbols": [_named(c, bytes) for c in other.symbols]}
        counts: Iterable[str] = other.symbols
    else:
        text = read(corpus, TextConfig(encoding, errors, newlines, normalize, lower, bytes), include)
        tell(text.notices)
        counts, report = text.counted, _counted(text)
    if known is not None:
        report["symbols"] = [symbol for symbol in report["symbols"] if symbol["character"] not in known.symbols]
        report["unused"] = sorted(set(known.symbols) - set(counts))
        if other is None:
            places = text.places([symbol["character"] for symbol in report["symbols"]], PLACES)
            report["symbols"] = [{**symbol, "places": places[symbol["character"]]} for symbol in report["symbols"]]
    if output is not None:
        Vocabulary.of(counts, other is not None and other.has_unknown).save(output)
    write_data(_json(report) if json else _table(report))
    if output is not None:
        say(f"Wrote {output}: {report['distinct']:,} characters. Next: charrnn train CORPUS --vocab {output}")


def _counted(text: "Text") -> dict[str, Any]:
    """Return a text's characters, the most frequent first, equal counts in the order of code points."""
    ranked = sorted(text.counted.items(), key=lambda item: (-item[1], item[0]))
    symbols = [
        {**_named(symbol, text.config.bytes), "count": count, "share": count / len(text)} for symbol, count in ranked
    ]
    return {"characters": len(text), "distinct": len(symbols), "bytes": text.byte_count, "symbols": symbols}


def _named(character: str, is_byte: bool) -> dict[str, Any]:
    if is_byte:
        return {"character": character, "code_point": f"0x{ord(character):02X}", "name": f"BYTE {ord(character)}"}
    return {"character": character, "code_point": f"U+{ord(character):04X}", "name": character_name(character)}


def _known(target: str) -> "Vocabulary":
    """Return the vocabulary of a model or of a vocabulary file."""
    from charrnn.runs.checkpoint import read_header
    from charrnn.runs.folder import find_checkpoint
    from charrnn.text.vocabulary import Vocabulary

    return Vocabulary.load(target) if target.endswith(".json") else read_header(find_checkpoint(target)).vocab


def _known_alone(corpus: list[str]) -> "Vocabulary | None":
    """Return the vocabulary that CORPUS is, if it is a run, a checkpoint or a vocabulary file and no text."""
    from charrnn.runs.folder import Run
    from charrnn.text.sources import STDIN
    from charrnn.text.vocabulary import FORMAT

    target = corpus[0]
    if len(corpus) > 1 or target == STDIN:
        return None
    if not os.path.exists(target):
        with suppress(CharRNNError):
            return _known(target)
        return None
    if target.endswith(".safetensors") or (os.path.isdir(target) and Run(Path(target)).newest()):
        return _known(target)
    if target.endswith(".json") and os.path.isfile(target):
        with open(target, "rb") as file:
            return _known(target) if FORMAT.encode() in file.read(100) else None
    return None


def _json(report: dict[str, Any]) -> str:
    # The undecodable bytes of a file's name are lone surrogates, which JSON can only have as escapes.
    return json_text(report, ascii_only=False, indent=2).encode("utf-8", "backslashreplace").decode()


def _table(report: dict[str, Any]) -> str:
    heads = {"character": "CHARACTER", "code_point": "CODE POINT", "name": "NAME", "count": "COUNT", "share": "SHARE"}
    present = [key for key in (*heads, "places") if any(key in symbol for symbol in report["symbols"])]
    rows = [[heads.get(key, "PLACES") for key in present]]
    rows += [[_cell(key, symbol[key]) for key in present] for symbol in report["symbols"]]
    table = aligned(rows, "".join(">" if key in ("count", "share") else "<" for key in present))
    totals = f"{report['distinct']:,} distinct\n"
    if "characters" in report:
        totals = f"{report['characters']:,} characters, {report['distinct']:,} distinct, {report['bytes']:,} bytes\n"
    if "unused" in report:
        unseen = sum(symbol.get("count", 0) for symbol in report["symbols"])
        in_all = f", {unseen:,} characters in all" if "characters" in report else ""
        totals += f"{len(report['symbols']):,} of the distinct are unknown{in_all}\n"
        unused = printable("".join(report["unused"][:60])) + (" …" if len(report["unused"]) > 60 else "")
        totals += f"{len(report['unused']):,} known ones do not occur" + (f": {unused}\n" if unused else "\n")
    return (f"{table}\n" if report["symbols"] else "") + totals


def _cell(key: str, value: Any) -> str:
    """Return how a fact of a character is shown."""
    match key:
        case "character":
            return repr(value)
        case "count":
            return f"{value:,}"
        case "share":
            return f"{100 * value:.3f} %"
        case "places":
            return printable(" ".join(value))
    return str(value)
