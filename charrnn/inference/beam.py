"""Beam search: finds a likely continuation by extending the best few beginnings in parallel."""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.inference.generation import Ending, Sample, not_a_number
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream

_Ids = tuple[int, ...]


def beam_search(model: Model, before: np.ndarray, width: int, ending: Ending, banned: Sequence[int] = ()) -> Sample:
    """Return the likeliest text after the ids `before` (`Model.before`) that a beam of `width` beginnings finds.

    The probability of a text is that of its characters and of the stop string after them; no length is favoured. Texts
    that reached their own end rank above those that were cut at the length. Of equally likely texts the first wins.
    """
    return n_best(model, before, width, 1, ending, banned)[0]


def n_best(
    model: Model, before: np.ndarray, width: int, best: int, ending: Ending, banned: Sequence[int] = ()
) -> list[Sample]:
    """Return the `best` likeliest texts that a beam finds, or fewer, in the order of `beam_search`.

    If different stop strings end the same text, it is returned once, with its likeliest end.
    """
    search = _Beam(model, before, width, best, ending, banned)
    while not search.settled():
        search.advance()
    return search.found()


def beginnings(
    model: Model, before: np.ndarray, width: int, length: int, banned: Sequence[int] = ()
) -> Iterator[list[_Ids]]:
    """Yield the `width` likeliest beginnings of a text that a beam finds: of one character, of two, up to `length`."""
    search = _Beam(model, before, width, 1, Ending(length), banned)
    while not search.settled():
        search.advance()
        yield search.beginnings


class _Beam:
    """The best beginnings of each length, and the `best` of the texts that have ended."""

    def __init__(self, model: Model, before: np.ndarray, width: int, best: int, ending: Ending, banned: Sequence[int]):
        self.width, self.best, self.ending = width, best, ending
        # The part of the end of a document that the ids before the text already contain.
        self.amid = () if ending.end is None else ending.end.ids[: int(ending.end.matched(before))]
        # The characters that may end a text.
        self.last = [stop[-1] for stop in ending.stops]
        if ending.lines is not None and ending.line_break is not None:
            self.last.append(ending.line_break)
        if ending.documents is not None and ending.end is not None:
            self.last.append(ending.end.ids[-1])
        self.banned = [*banned, *([] if model.vocab.unknown_id is None else [model.vocab.unknown_id])]
        # A batch of one has arrays of another shape.
        self.stream = Stream(model, max(2, width))
        if model.compiled.patience(width) == 0:
            self.stream = model.compiled.faster(self.stream)
        one = Stream(model)
        self.logits = one.feed(before[:, None])[-1]
        self.stream.copy(one)
        self.beginnings: list[_Ids] = [()]
        # For each beginning: the costs of its characters, in nats.
        self.costs: list[tuple[float, ...]] = [()]
        # Texts that have ended, the likeliest first, with their total cost including the end, and their characters'
        # costs.
        self.finished: dict[_Ids, tuple[float, tuple[float, ...]]] = {}

    def settled(self) -> bool:
        """Return whether no better text can be found: a longer beginning can only cost more."""
        if not self.beginnings or len(self.beginnings[0]) >= self.ending.length:
            return True
        return len(self.finished) == self.best and self._last_cost() <= sum(self.costs[0])

    def _last_cost(self) -> float:
        """Return the cost of the least likely text that has ended."""
        return next(reversed(self.finished.values()))[0]

    def found(self) -> list[Sample]:
        """Return the best texts that have ended, then the best beginnings."""
        found = [
            Sample(np.array(ids, np.int32), np.array(nats, np.float32), True, total - sum(nats))
            for ids, (total, nats) in self.finished.items()
        ]
        if not found and not self.beginnings:
            raise not_a_number()
        begun = zip(self.beginnings, self.costs, strict=True)
        found += [Sample(np.array(ids, np.int32), np.array(nats, np.float32), False) for ids, nats in begun]
        return found[: self.best]

    def advance(self) -> None:
        """Extend the beginnings by the best next characters."""
        count = len(self.beginnings)
        nats = _all_nats(self.logits[:count].astype(np.float64))
        nats[:, self.banned] = np.inf
        totals = nats + np.array([sum(costs) for costs in self.costs])[:, None]
        order = np.argsort(totals.ravel(), kind="stable")
        # Texts that end take no place of a beginning, and are found however many beginnings are likelier.
        can_end = np.isin(order % totals.shape[1], self.last) & np.isfinite(totals.ravel()[order])
        ended = set()
        for place in order[can_end].tolist():
            parent, character = divmod(place, totals.shape[1])
            if self._ends(parent, character, float(nats[parent, character]), float(totals[parent, character])):
                ended.add(place)
        kept: list[tuple[int, int]] = []
        for place in order.tolist():
            parent, character = divmod(place, totals.shape[1])
            if len(kept) == self.width or not np.isfinite(totals[parent, character]):
                break
            if place not in ended:
                kept.append((parent, character))
        self._follow(kept, nats)

    def _ends(self, parent: int, character: int, nats: float, total: float) -> bool:
        """Return whether this character ends a text; the best texts that ended are stored."""
        ids, costs = (*self.beginnings[parent], character), (*self.costs[parent], nats)
        breaks = 0 if self.ending.line_break is None else ids.count(self.ending.line_break)
        end, documents = self.ending.end, 0
        if end is not None and character == end.ids[-1]:
            documents = len(end.places((*self.amid, *ids)))
        cut = self.ending.cut(ids, breaks, documents)
        if cut is None:
            return False
        text = ids[: len(ids) - cut]
        if text not in self.finished or total < self.finished[text][0]:
            # The sort is stable, so of equally likely texts the first remains first.
            every = {**self.finished, text: (total, costs[: len(costs) - cut])}
            self.finished = dict(sorted(every.items(), key=lambda one: one[1][0])[: self.best])
        return True

    def _follow(self, kept: list[tuple[int, int]], nats: np.ndarray) -> None:
        """Continue with these pairs of a beginning and its next character."""
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
