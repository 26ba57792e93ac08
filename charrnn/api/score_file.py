"""`charrnn score --file`: a whole text as one record."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, write_data
from charrnn.cli.reading import read, tell
from charrnn.cli.views.scores import Form, character_row, shown
from charrnn.json_text import json_text

if TYPE_CHECKING:
    import numpy as np

    from charrnn.cli.views.scores import Page
    from charrnn.config import TextConfig
    from charrnn.inference.model import Model


class Pieces:
    """A text in pieces, each with the bits of its characters, NaN where they do not count; and totals of all read."""

    def __init__(self, model: "Model", source: str, config: "TextConfig", unknown: str | None):
        from charrnn.data.corpus import as_ids

        text = read([source], config)
        self.corpus = as_ids(text, model.vocab, unknown)
        tell(self.corpus.text.notices)
        self.model = model
        known = set(model.vocab.symbols)
        self.unknown = sum(count for symbol, count in text.counted.items() if symbol not in known)
        self.characters, self.bits = 0, 0.0

    def __iter__(self) -> Iterator[tuple[str, "np.ndarray"]]:
        import numpy as np

        from charrnn.inference.scoring import score_part

        part = self.corpus.part
        for low, high, nats in score_part(self.model, part):
            counts = part.counts(np.arange(low, high))
            self.characters += int(counts.sum())
            self.bits += float(nats[counts].sum(dtype=np.float64)) / math.log(2)
            yield self.model.vocab.decode(part.ids(low, high)), np.where(counts, nats / math.log(2), math.nan)

    @property
    def bits_per_char(self) -> float:
        """Return bits a character, NaN if none counts."""
        return self.bits / self.characters if self.characters else math.nan


def score_file(pieces: Pieces, source: str, form: Form, page: "Page | None") -> None:
    """Write the score of a text."""
    surprisal: list[float] = []
    place = (1, 1)
    for text, bits in pieces:
        costs = bits.tolist()
        if form.heat:
            write_data(shown(text, costs))
        elif form.characters and form.json:
            surprisal += costs
        elif form.characters:
            rows, place = _rows(text, costs, *place)
            write_data(rows)
        if page:
            page.text(text, costs)
    if page:
        page.count(pieces.characters, pieces.bits, pieces.unknown)
    if form.json:
        more = {"surprisal": list(surprisal)} if form.characters else {}
        facts = _facts(pieces, printable(source)) | more
        write_data(json_text(facts, ascii_only=False))
    elif not form.heat and not form.characters:
        numbers = f"{pieces.bits_per_char:.4f}\t{pieces.bits:.4f}\t{pieces.characters}\t{pieces.unknown}"
        write_data(f"{numbers}\t{printable(source)}\n")


def _rows(text: str, costs: Sequence[float], line: int, column: int) -> tuple[str, tuple[int, int]]:
    """Return the rows of characters, the first of which stands at a line and column, and where the next one stands."""
    rows = []
    for character, cost in zip(text, costs, strict=True):
        rows.append(character_row(line, column, cost, character))
        line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
    return "".join(rows), (line, column)


def _facts(pieces: Pieces, source: str) -> dict[str, Any]:
    return {
        "file": source,
        "bits_per_char": pieces.bits_per_char,
        "bits": pieces.bits,
        "characters": pieces.characters,
        "unknown": pieces.unknown,
    }
