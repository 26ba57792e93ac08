"""Prints the scores of lines: as fields, as JSON records, one row per character, as a heat map, as a web page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from charrnn.api.json_text import json_text, written
from charrnn.api.members import Passing
from charrnn.cli.console import TextWriter, Writer, notify, printable, say, write_data
from charrnn.cli.views.page_file import PageFile
from charrnn.cli.views.whole import Whole, byte_count
from charrnn.errors import CharRNNError
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.api.records import Record
    from charrnn.api.scoring import Pieces
    from charrnn.cli.views.heat_page import HeatPage
    from charrnn.config import TextConfig
    from charrnn.inference.guesses import Rank
    from charrnn.inference.lines import Score


@dataclass(frozen=True)
class Form:
    """How scores are printed: as fields or as `json`, with `characters` for each character, or as a `heat` map.

    The number that is printed first for each line is the one by which lines are ranked (`by`). JSON records name the
    `run`. `text` says how the lines were read.
    """

    json: bool
    characters: bool
    heat: bool
    by: str
    run: str
    text: "TextConfig"
    passing: Passing = field(default_factory=lambda: Passing(notify))

    def __post_init__(self) -> None:
        if self.heat and (self.json or self.characters):
            raise CharRNNError(
                "--heatmap prints the text in colours, so it cannot be combined with --jsonl or --per-char.",
                hint="Leave out --jsonl and --per-char.",
            )
        if self.heat:
            from charrnn.cli.views.heat import legend, wanted

            say(
                legend()
                if wanted()
                else "Colours are printed only to terminals; set FORCE_COLOR=1 to print them anywhere."
            )

    def writer(self) -> Callable[[str], None]:
        """Return a function that writes text of this form in its encoding; as fields, lines of bytes are unchanged.

        Characters that the encoding does not have are replaced: they do not stop the command.
        """
        text = self.text
        if self.json:
            return write_data
        if self.heat:
            from charrnn.cli.views.heat import wanted

            if not wanted():
                return TextWriter(text.encoding, errors="surrogateescape" if text.bytes else "replace").write
        if self.heat or self.characters:
            return Writer(text.encoding, errors="replace").write
        return TextWriter(text.encoding, text.bytes, errors="replace").write

    def of(self, record: "Record") -> str:
        """Return the output for a line."""
        score = record.score
        if self.heat:
            from charrnn.cli.views.heat import measured

            text = shown(*self.whole(score.read, score.surprisal.tolist()))
            return f"{measured(score.by(self.by), 3):>7}  {text}".removesuffix("\n") + "\n"
        if self.json:
            return self.passing.line(score.line, record.members, _facts_of(record, self))
        if self.characters:
            return self.rows(*self.whole(score.read, score.surprisal.tolist()), (score.line, 1), end="")[0]
        numbers = f"{score.by(self.by):.4f}\t{score.bits:.4f}\t{score.characters}\t{score.unknown}"
        if record.rank is not None:
            numbers = f"{_ranked(record.rank)}\t{numbers}"
        # A text from JSON may contain line breaks, but a record is one line.
        text = score.text.replace("\n", "\\n")
        return f"{numbers}\t{score.line}\t{text}\n"

    @property
    def whole(self) -> Whole:
        """Return an object that decodes the bytes of one text."""
        return Whole(self.text.bytes)

    def rows(
        self, text: str, bits: Sequence[float], place: tuple[int, int], end: str = "\n"
    ) -> tuple[str, tuple[int, int]]:
        """Return the rows of characters, and the place after the last one; a place is a line and a column.

        The first character is at `place`. Lines end with `end`. For a model of bytes, columns count bytes.
        """
        rows = []
        line, column = place
        for character, cost in zip(text, bits, strict=True):
            rows.append(f"{line}\t{column}\t{cost:.4f}\t{printable(character)}\n")
            width = byte_count(character) if self.text.bytes else 1
            line, column = (line + 1, 1) if character == end else (line, column + width)
        return "".join(rows), (line, column)


def _ranked(rank: "Rank") -> str:
    """Return a guess rank and its error as fields; a lower bound has ">" before it."""
    bound = ">" if math.isinf(rank.error) else ""
    numbers = (f"{number:.1f}" if number < 1e6 else f"{number:.3g}" for number in (rank.rank, rank.error))
    return bound + "\t".join(numbers)


def _facts_of(record: "Record", form: Form) -> dict[str, str]:
    """Return the members of a line's JSON record, with values as they are written in JSON."""
    score = record.score
    rank = record.rank
    facts: dict[str, Any] = {
        "line": score.line,
        **({} if rank is None else {"rank": rank.rank, "rank_error": rank.error}),
        "bits_per_char": score.bits_per_char,
        "worst": score.worst,
        "excess": score.excess,
        "bits": score.bits,
        "characters": score.characters,
        "unknown": score.unknown,
        "text": readable(score.text, form.text),
        "run": form.run,
    }
    if form.characters:
        # The text that the numbers belong to: reading may have changed it (`lower`, `normalize`).
        facts["read"] = readable(score.read, form.text)
        facts["surprisal"] = score.surprisal.tolist()
    if record.lack:
        facts = dict.fromkeys(facts) | {"line": score.line, "run": form.run}
    own = {} if record.written is None else {"text": record.written}
    return {name: written(value) for name, value in facts.items()} | own


def shown(text: str, bits: Sequence[float]) -> str:
    """Return a text, in colours if stdout gets colours."""
    from charrnn.cli.views.heat import coloured, wanted

    return coloured(text, bits) if wanted() else text


class Page(PageFile):
    """A heat map as a web page."""

    what = "heat map"

    def __init__(self, path: Path, form: Form, source: str, lines: bool):
        super().__init__(path)
        self.form, self.title, self.lines = form, (form.run, source), lines
        self.characters = self.unknown = 0
        self.bits = 0.0

    def begin(self, file: TextIO) -> "HeatPage":
        from charrnn.cli.views.heat_page import HeatPage

        return HeatPage(file, *self.title, lines=self.lines)

    def finish(self) -> None:
        self.page.finish(self.characters, self.bits / self.characters if self.characters else math.nan, self.unknown)

    def count(self, characters: int, bits: float, unknown: int) -> None:
        """Add to the totals."""
        self.characters += characters
        self.bits += bits
        self.unknown += unknown

    def text(self, text: str, costs: Sequence[float]) -> None:
        """Write a piece of a text."""
        self.page.text(text, costs)

    def line(self, score: "Score") -> None:
        """Write a line."""
        self.count(score.characters, score.bits, score.unknown)
        text, costs = self.form.whole(score.read, score.surprisal.tolist())
        self.page.line(score.line, score.bits_per_char, text, costs)


def print_text(pieces: "Pieces", source: str, form: Form, write: Callable[[str], None], page: Page | None) -> None:
    """Print the score of a whole text; `write` writes the text itself."""
    surprisal: list[float] = []
    place = (1, 1)

    def whole() -> Iterator[tuple[str, Sequence[float]]]:
        made = form.whole
        for text, bits in pieces:
            costs = bits.tolist()
            if form.characters and form.json:
                surprisal.extend(costs)
            yield made(text, costs, more=True)
        yield made("", [])

    for text, costs in whole():
        if form.heat:
            write(shown(text, costs))
        elif form.characters and not form.json:
            rows, place = form.rows(text, costs, place)
            write(rows)
        if page:
            page.text(text, costs)
    if page:
        page.count(pieces.characters, pieces.bits, pieces.unknown)
    if form.json:
        more = {"surprisal": surprisal} if form.characters else {}
        facts = _facts(pieces, printable(source)) | {"run": form.run} | more
        write(json_text(facts, ascii_only=False))
    elif not form.heat and not form.characters:
        numbers = f"{pieces.bits_per_char:.4f}\t{pieces.bits:.4f}\t{pieces.characters}\t{pieces.unknown}"
        write_data(f"{numbers}\t{printable(source)}\n")


def _facts(pieces: "Pieces", source: str) -> dict[str, Any]:
    return {
        "file": source,
        "bits_per_char": pieces.bits_per_char,
        "bits": pieces.bits,
        "characters": pieces.characters,
        "unknown": pieces.unknown,
    }
