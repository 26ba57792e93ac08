"""N-gram models of characters, the baseline of networks: interpolated Kneser-Ney, with three discounts for each order.

S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and
Language 13 (1999), section 3: "modified Kneser-Ney". The lowest order is interpolated with the uniform distribution.
As in KenLM, n-grams that begin with the start symbol have their plain counts in all orders.

All n-grams are counted by sorting. The contexts are sorted once, by their characters from the last one to the first. So
contexts with the same last characters are neighbours, for every number of characters. Then the n-grams of each order
are merged from those of the next higher order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.data.parts import Part

# The discounts of counts of 1, 2, and 3 or more if too few n-grams tell better ones; these are KenLM's.
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What n-gram models of the orders from 1 on, trained together, say of a held-out text.

    probabilities: of each character that counts, float64 (orders, characters). ngrams: how many n-grams the model of
    each order stores, of all lengths.
    """

    probabilities: np.ndarray
    ngrams: tuple[int, ...]


def predicted(train: Part, held: Sequence[Part], size: int, orders: int) -> Predicted:
    """Return the probabilities of held-out characters by n-gram models of the orders up to `orders`.

    Only n-grams whose last character counts are learned, as by a network. Contexts begin where each part begins, and
    where documents begin if `resets`. size: that of the vocabulary. The probabilities of all its ids add up to 1.
    """
    sequence, trained = _sequence(train, held, size)
    # No name holds the arrays that the model does not need, so they are freed.
    return _Model(*_sorted(sequence, size, orders - 1), size, trained).predict(orders)


class _Sequence(NamedTuple):
    """Texts in a row, with a start symbol before each document, and whether each place of them counts."""

    ids: np.ndarray
    counts: np.ndarray


class _Contexts(NamedTuple):
    """All different contexts of some length, sorted by their characters from the last one to the first.

    differs: at which character, counted back from the last one as 1, each differs from the one before it; 0 for the
    first. known: how many characters each has before its start symbol, or at least the length of the context.
    """

    differs: np.ndarray
    known: np.ndarray


class _Rows(NamedTuple):
    """The places that count, in the order of their contexts: their numbers in the text, contexts and characters."""

    place: np.ndarray
    context: np.ndarray
    character: np.ndarray


def _sequence(train: Part, held: Sequence[Part], start: int) -> tuple[_Sequence, int]:
    """Return the training text and the held-out texts in a row, and how many characters of the first count."""
    dtype = np.min_scalar_type(start)
    pieces: list[tuple[np.ndarray, np.ndarray]] = []
    trained = 0
    for part in (train, *held):
        for ids, counts in _with_starts(part, start):
            pieces.append((ids.astype(dtype), counts))
            trained += int(counts.sum()) if part is train else 0
    ids, counts = zip(*pieces, strict=True)
    return _Sequence(np.concatenate(ids), np.concatenate(counts)), trained


def _with_starts(part: Part, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield stretches of a part, as ids with a start symbol before each document, and whether each of them counts."""
    for low, high in part.blocks():
        places = np.arange(low, high)
        begins = np.flatnonzero(part.begins(places) if part.resets else places == 0)
        yield np.insert(part.ids(low, high), begins, start), np.insert(part.counts(places), begins, False)


def _sorted(sequence: _Sequence, start: int, length: int) -> tuple[_Contexts, _Rows]:
    """Return the contexts of `length` of all places that count, and these places in the order of their contexts."""
    # As many characters as fit are packed in each number.
    bits = start.bit_length()
    each = 64 // bits
    words: list[np.ndarray] = []
    known, before = np.zeros(len(sequence.ids), np.uint8), sequence.ids
    for back in range(1, length + 1):
        earlier = np.full_like(before, start)
        earlier[back:] = sequence.ids[:-back]
        earlier[before == start] = start
        if (back - 1) % each == 0:
            words.append(np.zeros(len(before), np.uint64))
        words[-1] <<= np.uint64(bits)
        words[-1] |= earlier
        known += earlier != start
        before = earlier
    for number, word in enumerate(words):
        words[number] = word[sequence.counts]
    known, character = known[sequence.counts], sequence.ids[sequence.counts]
    match len(words):
        case 0:
            place = np.arange(len(known))
        case 1:
            place = np.argsort(words[0])
        case _:
            place = np.lexsort(words[::-1])
    differs = np.full(len(known), length + 1, np.uint8)
    differs[:1] = 0
    # The first character that differs is found last.
    for first in reversed(range(0, length, each)):
        word = words.pop()[place]
        changes = word[1:] ^ word[:-1]
        for back in range(min(first + each, length), first, -1):
            differs[1:][changes != 0] = back
            changes >>= np.uint64(bits)
    new = differs <= length
    return (
        _Contexts(differs[new], known[place][new]),
        _Rows(place, np.cumsum(new, dtype=np.int32) - np.int32(1), character[place]),
    )


class _Model:
    """The n-grams of one order at a time, from the highest to the lowest.

    An n-gram is a number: that of its context times the size of the vocabulary, plus its last character.
    """

    def __init__(self, contexts: _Contexts, rows: _Rows, size: int, trained: int):
        self.contexts, self.size = contexts, size
        is_trained = rows.place < trained
        self.grams = rows.context[is_trained].astype(np.int64)
        self.grams *= size
        self.grams += rows.character[is_trained]
        self.grams.sort()
        begins = _runs(self.grams)
        # How often each n-gram occurs, and after how many different characters; not needed of the highest order.
        self.counts = _lengths(begins, len(self.grams))
        self.preceded: np.ndarray | None = None
        self.grams = self.grams[begins]
        # The held-out places, in the order of their contexts: so each search begins near the one before it.
        self.place = rows.place[~is_trained] - trained
        self.held, self.character = rows.context[~is_trained].astype(np.int64), rows.character[~is_trained]

    def predict(self, orders: int) -> Predicted:
        """Return the probabilities of the held-out characters by the models of all orders."""
        if not len(self.grams):
            # Nothing was counted: all characters are equally likely.
            return Predicted(np.full((orders, len(self.held)), 1 / self.size), (0,) * orders)
        parts, stored = [], []
        for order in range(orders, 0, -1):
            # At a place near the beginning of its document there are no n-grams of a high order.
            exists = self.contexts.known >= order - 2
            wanted = self.held * self.size + self.character
            place = np.minimum(np.searchsorted(self.grams, wanted), len(self.grams) - 1)
            found = self.grams[place] == wanted
            highest = self._interpolation(self.counts, exists, place, found)
            lower = None if self.preceded is None else self._interpolation(self.preceded, exists, place, found)
            parts.append((highest, lower))
            stored.append(np.count_nonzero(exists[self.grams // self.size]))
            if order > 1:
                self._shorten(order)
        probabilities = np.empty((orders, len(self.held)))
        below = np.full(len(self.held), 1 / self.size)
        for row, (highest, lower) in zip(probabilities, reversed(parts), strict=True):
            row[self.place] = highest.own + highest.left * below
            if lower is not None:
                below = lower.own + lower.left * below
        return Predicted(probabilities, tuple(np.cumsum(stored[::-1]).tolist()))

    def _interpolation(
        self, counts: np.ndarray, exists: np.ndarray, place: np.ndarray, found: np.ndarray
    ) -> "_Interpolation":
        """Return the terms of the interpolation at the held-out places, of n-grams with these counts."""
        contexts = self.grams // self.size
        of_count = np.array([0.0, *discounts(counts[exists[contexts]])])
        totals = np.bincount(contexts, counts, len(exists))
        left = np.bincount(contexts, of_count[np.minimum(counts, 3)], len(exists))
        known = (totals > 0) & exists
        totals[~known] = left[~known] = 1.0
        here = counts[place]
        own = (here - of_count[np.minimum(here, 3)]) / totals[self.held]
        own[~found | ~known[self.held]] = 0.0
        return _Interpolation(own, (left / totals)[self.held])

    def _shorten(self, order: int) -> None:
        """Remove the first character of each n-gram of this order."""
        remain = self.contexts.differs < order - 1
        shorter = np.cumsum(remain) - 1
        self.contexts = _Contexts(self.contexts.differs[remain], self.contexts.known[remain])
        self.held = shorter[self.held]
        contexts = self.grams // self.size
        self.grams += (shorter[contexts] - contexts) * self.size
        by_gram = np.argsort(self.grams)
        grams = self.grams[by_gram]
        begins = _runs(grams)
        self.counts = np.add.reduceat(self.counts[by_gram], begins)
        self.grams = grams[begins]
        # Nothing comes before a start symbol.
        after_start = self.contexts.known[self.grams // self.size] < order - 2
        self.preceded = np.where(after_start, self.counts, _lengths(begins, len(grams)))


class _Interpolation(NamedTuple):
    """For each character: its discounted share in an order, and the share that is left to the lower orders."""

    own: np.ndarray
    left: np.ndarray


def _runs(values: np.ndarray) -> np.ndarray:
    """Return where runs of equal values begin in sorted values."""
    new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return np.flatnonzero(new)


def _lengths(begins: np.ndarray, end: int) -> np.ndarray:
    """Return the lengths of runs that begin at these places, of which the last one ends at `end`, int32."""
    return np.diff(begins, append=end).astype(np.int32)


def discounts(counts: np.ndarray) -> tuple[float, ...]:
    """Return what is taken from counts of 1, 2, and 3 or more (Chen and Goodman 1999, equation 26)."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (n1 and n2 and n3):
        return FALLBACK
    share = n1 / (n1 + 2 * n2)
    found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    # A discount of 0 could leave nothing to characters that were never seen.
    return found if all(0 < one <= count for count, one in enumerate(found, 1)) else FALLBACK
