"""New texts from a model, many generated in parallel."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count, islice

import numpy as np

from charrnn.inference.attention import texts_at_once
from charrnn.inference.generation import Allowed, Generation, Sample, Text, not_a_number
from charrnn.inference.model import Model
from charrnn.inference.sampling import cross_entropy, pick_each
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards

# How many texts are generated in parallel: more would gain little speed, and need more memory.
SIDE_BY_SIDE = 256
# The number of characters of a text for which arrays have room at first.
_ROOM = 64


def generate(
    model: Model,
    shared: np.ndarray,
    befores: Iterable[np.ndarray],
    how: Generation,
    side_by_side: int = SIDE_BY_SIDE,
    first: int = 0,
) -> Iterator[Sample]:
    """Yield texts numbered from `first`, one after each of `befores`; `side_by_side` are generated in parallel.

    Each text follows the ids `shared`, which are read only once, and at least one id of its own from `befores`;
    together they are as `Model.before` returns them. When a text has ended, the next one takes its row. `befores` may
    be endless, because the next item is read only when a row is free.
    """
    if not how.ending.length:
        nothing = np.zeros(0, np.float32)
        yield from (Sample(nothing.astype(np.int32), nothing, False) for _ in befores)
        return
    befores = iter(befores)
    at_once = list(islice(befores, texts_at_once(model.config, side_by_side)))
    # A batch of one has arrays of another shape.
    with Shards(model, max(2, len(at_once))) as shards:
        yield from _in_order(_Batch(model, shared, chain(at_once, befores), how, shards, first), first)


def _in_order(batch: "_Batch", wanted: int) -> Iterator[Sample]:
    """Yield the texts of a batch from number `wanted` on."""
    done: dict[int, Sample] = {}
    while batch.running:
        done |= batch.advance()
        while wanted in done:
            yield done.pop(wanted)
            wanted += 1


class _Batch:
    """Texts that are generated in parallel, one per row; each row reads the ids before its text, then draws."""

    def __init__(
        self,
        model: Model,
        shared: np.ndarray,
        befores: Iterator[np.ndarray],
        how: Generation,
        shards: Shards,
        first: int,
    ):
        rows = shards.batch
        self.how, self.befores, self.start = how, befores, model.vocab.start
        self.shared = shared[shared != self.start].tolist()
        self.allowed = Allowed(model, how)
        self.stream, self.begun = shards, Stream(model)
        if len(shared):
            self.begun.feed(shared[:, None])
        self.inputs = np.full(rows, self.start, np.int64)
        self.numbers = count(first)
        self.texts: dict[int, Text] = {}
        # The texts that have read everything before them. The dict is rebuilt only when it changes, which is rare.
        self.drawing: dict[int, Text] = {}
        self.unread: dict[int, list[int]] = {}
        self.made, self.watched = np.zeros(rows, np.int64), how.watched(model.vocab.size)
        self.ids, self.nats = np.zeros((rows, _ROOM), np.int32), np.zeros((rows, _ROOM), np.float32)
        for row, before in enumerate(islice(befores, rows)):
            self._begin(row, before)

    @property
    def running(self) -> bool:
        return bool(self.texts)

    def _begin(self, row: int, before: np.ndarray) -> None:
        """Begin the next text in a row."""
        self.stream.copy(self.begun, row)
        self.made[row] = 0
        self.inputs[row], *rest = before.tolist()
        if rest:
            self.unread[row] = rest[::-1]
        own = before[before != self.start].tolist()
        self.texts[row] = Text(self.how, next(self.numbers), [*self.shared, *own])

    def advance(self) -> list[tuple[int, Sample]]:
        """Read a character in every row, and draw one in rows that draw; return the numbers and texts that ended."""
        logits = self.stream.go_on(self.inputs)
        if not self.drawing:
            self.drawing = {row: text for row, text in self.texts.items() if row not in self.unread}
            self.rows, self.draws = np.array([*self.drawing], np.intp), [text.draws for text in self.drawing.values()]
        rows, texts = self.rows, self.drawing
        self._read()
        if not texts:
            return []
        drawn = self._draw(rows, texts.values(), logits if len(rows) == len(logits) else logits[rows])
        self.inputs[rows] = drawn
        # For each text that is complete: how many characters to remove from its end.
        cuts = dict.fromkeys(rows[self.made[rows] == self.how.ending.length].tolist())
        if self.watched:
            for (row, text), character in zip(texts.items(), drawn.tolist(), strict=True):
                if text.is_amid or character in self.watched:
                    cut = text.add(character)
                    if cut is not None:
                        cuts[row] = cut
        return [self._finish(row, cut) for row, cut in cuts.items()]

    def _read(self) -> None:
        """Set the next input of rows that still read the ids before their texts."""
        for row, unread in list(self.unread.items()):
            self.inputs[row] = unread.pop()
            if not unread:
                del self.unread[row]
                self.drawing = {}

    def _draw(self, rows: np.ndarray, texts: Collection[Text], logits: np.ndarray) -> np.ndarray:
        """Draw and record a character of some rows, and return their ids."""
        uniforms = np.fromiter(map(next, self.draws), float, len(rows))
        drawn = pick_each(self.how.sampling.weights(self.allowed.of(logits, texts)), uniforms)
        nats = cross_entropy(logits, drawn)
        if not np.isfinite(nats).all():
            raise not_a_number()
        made = self.made[rows]
        if made.max() >= self.ids.shape[1]:
            self.ids, self.nats = (
                np.concatenate([kept, np.zeros_like(kept)], axis=1) for kept in (self.ids, self.nats)
            )
        self.ids[rows, made], self.nats[rows, made] = drawn, nats
        self.made[rows] += 1
        return drawn

    def _finish(self, row: int, cut: int | None) -> tuple[int, Sample]:
        """Return the number and the text of a row, and begin the next text there; `cut` is None at the full length."""
        number, made = self.texts[row].number, int(self.made[row])
        length = made - (cut or 0)
        end_nats = float(self.nats[row, length:made].sum())
        sample = Sample(self.ids[row, :length].copy(), self.nats[row, :length].copy(), cut is not None, end_nats)
        self.drawing = {}
        before = next(self.befores, None)
        if before is None:
            del self.texts[row]
        else:
            self._begin(row, before)
        return number, sample
