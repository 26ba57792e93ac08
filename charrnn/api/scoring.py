"""The score of a whole text, in pieces, while it is read."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from charrnn.api.generation import Notify
from charrnn.config import TextConfig
from charrnn.data.corpus import as_ids
from charrnn.errors import readable_by
from charrnn.inference.kinds import check_predicts_characters
from charrnn.inference.model import Model
from charrnn.inference.scoring import Stretch, score_part
from charrnn.text.reader import Watch, read_text


class Pieces:
    """A text in pieces, with the bits of each character (NaN if it does not count), and the totals so far."""

    def __init__(
        self, model: Model, source: str, config: TextConfig, unknown: str | None, watch: Watch | None, notify: Notify
    ):
        check_predicts_characters(model)
        with readable_by("encoding", "errors"):
            text = read_text([source], config, watch=watch)
        self.corpus = as_ids(text, model.vocab, unknown)
        for notice in self.corpus.text.notices:
            notify(notice)
        self.model = model
        known = set(model.vocab.symbols)
        self.unknown = sum(count for symbol, count in text.counted.items() if symbol not in known)
        self.characters, self.bits = 0, 0.0

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        part = self.corpus.part
        stretches: Iterable[Stretch] = score_part(self.model, part)
        if self.model.text.reverse and not part.resets:
            # What is printed first may be read last.
            stretches = sorted(stretches, key=lambda stretch: stretch.low)
        for low, high, nats in stretches:
            counts = part.counts(np.arange(low, high))
            self.characters += int(counts.sum())
            self.bits += float(nats[counts].sum(dtype=np.float64)) / math.log(2)
            yield self.model.vocab.decode(part.ids(low, high)), np.where(counts, nats / math.log(2), math.nan)

    @property
    def bits_per_char(self) -> float:
        """Return the bits per character; NaN if no character counts."""
        return self.bits / self.characters if self.characters else math.nan
