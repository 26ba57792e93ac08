"""What may be missing between two given ends of a text: candidates that a model proposes, and what each costs it."""

from collections.abc import Collection, Iterator
from itertools import repeat

import numpy as np

from charrnn.inference.batch import generate
from charrnn.inference.beam import beginnings
from charrnn.inference.ends import turned_ids
from charrnn.inference.generation import Ending, Generation
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.inference.scoring import score

Ids = tuple[int, ...]


class Gap:
    """A gap between `left` and `right`, ids of one document or line, as a model reads it: from either side.

    A model that reads from the end comes from the right. At the end it also predicts the end of the document or line.
    """

    def __init__(self, model: Model, left: np.ndarray, right: np.ndarray):
        self.model = model
        first, last = (turned_ids(right), turned_ids(left)) if model.text.reverse else (left, right)
        end = model.end_ids
        self.before = np.concatenate([model.before(left[:0]), first])
        self.last = np.concatenate([last, end]).astype(np.int64)
        # What ends a document cannot be part of one, and a line that is given as a line has no line break.
        self.banned = sorted({*end.tolist()} - {*left.tolist(), *right.tolist()})

    def likely(self, width: int, length: int) -> Iterator[Ids]:
        """Yield the `width` likeliest beginnings of each length from 1 to `length` that a beam search finds."""
        for found in beginnings(self.model, self.before, width, length, self.banned):
            yield from map(self._in_order, found)

    def drawn(self, count: int, length: int, temperature: float, seed: int) -> Iterator[Ids]:
        """Yield all beginnings of `count` texts that are drawn."""
        how = Generation(Ending(length), Sampling(temperature), self.banned, seed=seed)
        for sample in generate(self.model, self.before[:-1], repeat(self.before[-1:], count), how):
            for place in range(1, length + 1):
                yield self._in_order(tuple(sample.ids[:place].tolist()))

    def costs(self, fillings: Collection[Ids]) -> np.ndarray:
        """Return what each filling costs the model in nats, with all that it reads after it, float64 (fillings,)."""
        texts = [np.concatenate([np.array(self._in_order(ids), np.int64), self.last]) for ids in fillings]
        return np.array([nats.sum(dtype=np.float64) for nats in score(self.model, self.before, texts)])

    def _in_order(self, ids: Ids) -> Ids:
        """Return ids in the order of the text, or in that of the model."""
        return ids[::-1] if self.model.text.reverse else ids
