"""New texts from a model, many made side by side."""

from collections.abc import Iterable, Iterator
from itertools import chain, count, islice

import numpy as np

from charrnn.inference.generation import Generation, Repeats, Sample, mask_of, not_a_number
from charrnn.inference.model import Model, Stream
from charrnn.inference.sampling import pick_each
from charrnn.inference.scoring import cross_entropy
from charrnn.inference.threads import Shards

# Texts that are made side by side: more gain little speed, and take memory.
SIDE_BY_SIDE = 256
# Random numbers that are drawn at once for a text.
_DRAWS = 64


def generate(
    model: Model,
    shared: np.ndarray,
    befores: Iterable[np.ndarray],
    how: Generation,
    side_by_side: int = SIDE_BY_SIDE,
    first: int = 0,
) -> Iterator[Sample]:
    """Yield texts number `first` and on, one behind each of `befores`, `side_by_side` made at once.

    Before each, which has at least an id, stands what they share, ids that are read once; together they are as
    `Model.before` has them. A text that has ended gives its place to the next; `befores` may be endless: it is asked
    for one when there is room.
    """
    if not how.ending.length:
        nothing = np.zeros(0, np.float32)
        yield from (Sample(nothing.astype(np.int32), nothing, False) for _ in befores)
        return
    befores = iter(befores)
    at_once = list(islice(befores, side_by_side))
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
    """Texts that are made side by side, one a row; each row reads what its text stands behind, then draws."""

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
        self.how, self.befores, self.shared = how, befores, shared[shared != model.vocab.start].tolist()
        self.start, self.end, self.mask = model.vocab.start, model.end, mask_of(model, how)
        self.stream, self.begun = shards, Stream(model)
        if len(shared):
            self.begun.feed(shared[:, None])
        self.inputs = np.full(rows, self.start, np.int64)
        self.text = np.full(rows, -1)
        self.numbers = count(first)
        self.unread: list[list[int]] = [[] for _ in range(rows)]
        self.repeats: list[Repeats | None] = [None] * rows
        self.rngs: list[np.random.Generator] = [how.draws(0)] * rows
        self.uniforms = np.zeros((rows, _DRAWS))
        self.made, self.breaks = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self.ids, self.nats = np.zeros((rows, _DRAWS), np.int32), np.zeros((rows, _DRAWS), np.float32)
        self.stop_ends = np.array(sorted({stop[-1] for stop in how.ending.stops}), np.int64)
        for row, before in enumerate(islice(befores, rows)):
            self._begin(row, before)

    @property
    def running(self) -> bool:
        return bool((self.text >= 0).any())

    def _begin(self, row: int, before: np.ndarray) -> None:
        """Begin the next text in a row."""
        self.text[row] = next(self.numbers)
        self.stream.copy(self.begun, row)
        self.inputs[row], *rest = before.tolist()
        self.unread[row] = rest[::-1]
        self.made[row] = self.breaks[row] = 0
        self.rngs[row] = self.how.draws(int(self.text[row]))
        if self.how.no_repeat:
            self.repeats[row] = Repeats(self.how.no_repeat, [*self.shared, *before[before != self.start].tolist()])

    def advance(self) -> list[tuple[int, Sample]]:
        """Read a character in every row, and draw one where all is read; return the texts that have ended."""
        logits = self.stream.step(self.inputs)
        drawing = []
        for row, unread in enumerate(self.unread):
            if unread:
                self.inputs[row] = unread.pop()
            elif self.text[row] >= 0:
                drawing.append(row)
        if not drawing:
            return []
        rows = np.array(drawing)
        drawn = self._draw(rows, logits if len(rows) == len(logits) else logits[rows])
        self._keep_going(rows, drawn)
        return [self._finish(row, stop) for row, stop in self._ended(rows, drawn)]

    def _draw(self, rows: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Draw and record a character of some rows, and return their ids."""
        made = self.made[rows]
        for row in rows[made % _DRAWS == 0]:
            self.uniforms[row] = self.rngs[row].random(_DRAWS)
        drawn_from = logits if self.mask is None else logits + self.mask
        if self.how.no_repeat:
            drawn_from = drawn_from.copy()
            for row, own in zip(rows.tolist(), drawn_from, strict=True):
                self.repeats[row].forbid(own)  # type: ignore[union-attr]
        drawn = pick_each(self.how.sampling.weights(drawn_from), self.uniforms[rows, made % _DRAWS])
        if made.max() >= self.ids.shape[1]:
            self.ids, self.nats = (
                np.concatenate([kept, np.zeros_like(kept)], axis=1) for kept in (self.ids, self.nats)
            )
        nats = cross_entropy(logits, drawn)
        if not np.isfinite(nats).all():
            raise not_a_number()
        self.ids[rows, made], self.nats[rows, made] = drawn, nats
        self.made[rows] += 1
        return drawn

    def _keep_going(self, rows: np.ndarray, drawn: np.ndarray) -> None:
        """Let rows read what they have drawn; behind the end of a document that is forgotten, another one begins."""
        self.inputs[rows] = drawn
        if self.how.no_repeat:
            for row, character in zip(rows.tolist(), drawn.tolist(), strict=True):
                self.repeats[row].add(character)  # type: ignore[union-attr]
        forgetting = rows[drawn == self.end] if self.end is not None else rows[:0]
        if len(forgetting):
            self.stream.forget(forgetting)
            self.inputs[forgetting] = self.start

    def _ended(self, rows: np.ndarray, drawn: np.ndarray) -> list[tuple[int, int]]:
        """Return the rows whose text has ended, each with how much of its end is a stop string; -1 for its length."""
        ending, ended = self.how.ending, {}
        for row in rows[self.made[rows] == ending.length].tolist():
            ended[row] = -1
        if ending.lines is not None:
            self.breaks[rows] += drawn == ending.line_break
            for row in rows[self.breaks[rows] >= ending.lines].tolist():
                ended[row] = 0
        longest = max(map(len, ending.stops), default=0)
        for row in rows[np.isin(drawn, self.stop_ends)].tolist() if longest else []:
            made = int(self.made[row])
            stop = ending.stopped(self.ids[row, max(0, made - longest) : made].tolist())
            if stop:
                ended[row] = stop
        return list(ended.items())

    def _finish(self, row: int, stop: int) -> tuple[int, Sample]:
        """Return the text of a row and its number, and begin the next there."""
        length = int(self.made[row]) - max(stop, 0)
        text, sample = (
            int(self.text[row]),
            Sample(self.ids[row, :length].copy(), self.nats[row, :length].copy(), stop >= 0),
        )
        before = next(self.befores, None)
        if before is None:
            self.text[row] = -1
        else:
            self._begin(row, before)
        return text, sample
