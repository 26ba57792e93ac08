"""Beam search: the likeliest continuation that is found by following the best few beginnings side by side."""

from collections.abc import Sequence

import numpy as np

from charrnn.inference.generation import Ending, Sample, not_a_number
from charrnn.inference.model import Model, Stream

_Ids = tuple[int, ...]


def beam_search(model: Model, before: np.ndarray, width: int, ending: Ending, banned: Sequence[int] = ()) -> Sample:
    """Return the likeliest text behind the ids `before` (`Model.before`) that a beam of `width` beginnings finds.

    Its probability is that of its characters and of the stop string behind them; no length is favoured. Texts that came
    to their end go before those that were cut at the length. Of equals the first wins.
    """
    search = _Beam(model, before, width, ending, banned)
    while not search.settled():
        search.advance()
    return search.best()


class _Beam:
    """The best beginnings of each length, and the best of the texts that have ended."""

    def __init__(self, model: Model, before: np.ndarray, width: int, ending: Ending, banned: Sequence[int]):
        self.width, self.ending = width, ending
        self.banned = [*banned, *([] if model.vocab.unknown_id is None else [model.vocab.unknown_id])]
        # A batch of one has arrays of another shape.
        self.stream = Stream(model, max(2, width))
        one = Stream(model)
        self.logits = one.feed(before[:, None])[-1]
        self.stream.copy(one)
        self.beginnings: list[_Ids] = [()]
        # Of each beginning: what its characters cost, in nats.
        self.costs: list[tuple[float, ...]] = [()]
        self.finished: tuple[float, _Ids, tuple[float, ...]] | None = None

    def settled(self) -> bool:
        """Return whether nothing better can be found: what is added to a beginning only costs more."""
        if not self.beginnings or len(self.beginnings[0]) >= self.ending.length:
            return True
        return self.finished is not None and self.finished[0] <= sum(self.costs[0])

    def best(self) -> Sample:
        """Return the best text that has ended, else the best beginning."""
        if self.finished is not None:
            _, ids, nats = self.finished
        elif self.beginnings:
            ids, nats = self.beginnings[0], self.costs[0]
        else:
            raise not_a_number()
        return Sample(np.array(ids, np.int32), np.array(nats, np.float32), self.finished is not None)

    def advance(self) -> None:
        """Put the best next characters behind the beginnings."""
        count = len(self.beginnings)
        nats = _all_nats(self.logits[:count].astype(np.float64))
        nats[:, self.banned] = np.inf
        totals = nats + np.array([sum(costs) for costs in self.costs])[:, None]
        kept: list[tuple[int, int]] = []
        for place in totals.ravel().argsort(kind="stable").tolist():
            parent, character = divmod(place, totals.shape[1])
            if len(kept) == self.width or not np.isfinite(totals[parent, character]):
                break
            if not self._ends(parent, character, float(nats[parent, character]), float(totals[parent, character])):
                kept.append((parent, character))
        self._follow(kept, nats)

    def _ends(self, parent: int, character: int, nats: float, total: float) -> bool:
        """Return whether a text has ended with this character; the best that has is remembered."""
        ids, costs = (*self.beginnings[parent], character), (*self.costs[parent], nats)
        cut = self.ending.cut(ids, 0 if self.ending.line_break is None else ids.count(self.ending.line_break))
        if cut is None:
            return False
        if self.finished is None or total < self.finished[0]:
            self.finished = (total, ids[: len(ids) - cut], costs[: len(costs) - cut])
        return True

    def _follow(self, kept: list[tuple[int, int]], nats: np.ndarray) -> None:
        """Go on with these characters behind these beginnings."""
        self.beginnings, self.costs = (
            [(*self.beginnings[parent], character) for parent, character in kept],
            [(*self.costs[parent], float(nats[parent, character])) for parent, character in kept],
        )
        inputs = np.zeros(self.stream.batch, np.int64)
        inputs[: len(kept)] = [character for _, character in kept]
        parents = [parent for parent, _ in kept]
        self.stream.copy(self.stream, slice(len(kept)), parents)
        if kept:
            self.logits = self.stream.go_on(inputs)


def _all_nats(logits: np.ndarray) -> np.ndarray:
    """Return -log softmax(logits), (batch, vocab)."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=-1, keepdims=True)) - logits
