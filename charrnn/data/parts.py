"""Parts of a text as ids: the training, validation and test parts, and where documents begin in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from charrnn.text import cache
from charrnn.text.text import BLOCK

# The search back from a place in a line begins with this many characters; then with more and more.
LOOK_BACK = 32
# Characters that are looked at together for the end of a line.
LOOK_AHEAD = 4096


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of text as ids of a vocabulary, which are made of its codes where they are asked for.

    `codes`, (characters,), may be on disk; `table` turns them into ids (None: they are ids). Documents begin at
    `starts`, or after each code `line_end` if lines are documents. With `resets` a model forgets at each. With a code
    `loss_after`, only characters after the first such code in each document count in a loss. `inner` says that
    documents are parts of files, as lines are: many, and short enough to be kept whole and to be compared.

    With `classes` each document ends with a code that stands for its label. `classes`, (codes,), has the number of the
    label of each such code, and -1 for the codes of characters. A network predicts only the labels.
    """

    codes: np.ndarray
    table: np.ndarray | None = None
    starts: np.ndarray | None = None
    line_end: int | None = None
    resets: bool = False
    loss_after: int | None = None
    inner: bool = False
    classes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, places: np.ndarray | slice) -> np.ndarray:
        """Return the ids at some places, int32 of their shape."""
        codes = self.codes[places]
        return (codes if self.table is None else self.table[codes]).astype(np.int32)

    def ids(self, low: int = 0, high: int | None = None) -> np.ndarray:
        """Return the ids of a stretch, int32, by default of all."""
        return self.at(slice(low, high))

    def targets(self, places: np.ndarray | slice) -> np.ndarray:
        """Return what a network predicts at some places: the ids there or, with classes, the labels; int32."""
        return self.at(places) if self.classes is None else np.maximum(self.classes[self.codes[places]], 0)

    def begins(self, places: np.ndarray) -> np.ndarray:
        """Return for each of some places, which are not negative, whether a document begins there."""
        first = places == 0
        if self.line_end is not None:
            return first | (self.codes[places - 1] == self.line_end)
        if self.starts is None or not len(self.starts):
            return first
        after = np.searchsorted(self.starts, places)
        return first | (self.starts[np.minimum(after, len(self.starts) - 1)] == places)

    def next_begin(self, place: int, limit: int) -> int | None:
        """Return where the next document begins, at a place or less than `limit` after it; the end of the text counts.

        None if no document begins there.
        """
        if self.begins(np.array([place]))[0]:
            return place
        until = min(place + limit, len(self) + 1)
        if self.line_end is None:
            starts = np.zeros(0, np.int64) if self.starts is None else self.starts
            nearest = np.searchsorted(starts, place)
            begin = int(starts[nearest]) if nearest < len(starts) else len(self)
            return begin if begin < until else None
        for low in range(place, until - 1, LOOK_AHEAD):
            ends = np.flatnonzero(self.codes[low : min(low + LOOK_AHEAD, until - 1)] == self.line_end)
            if len(ends):
                return low + int(ends[0]) + 1
        return len(self) if until > len(self) else None

    def counts(self, places: np.ndarray) -> np.ndarray:
        """Return whether the character at each of some places counts in a loss, bool of their shape.

        Along the first axis each place follows the previous one, or is 0; no place is negative.
        """
        if self.classes is not None:
            return self.classes[self.codes[places]] >= 0
        if self.loss_after is None:
            return np.ones(places.shape, bool)
        if self.line_end is None:
            begins, firsts = self._first_separators
            return places > firsts[np.searchsorted(begins, places, side="right") - 1]
        before = self.codes[places - 1]
        counts = (before == self.loss_after) & (places > 0)
        known = counts | (before == self.line_end) | (places == 0)
        counts[:1], known[:1] = self._follows_separator(places[:1]), True
        # Other places are like the place before: the highest number so far belongs to the last known place.
        rows = np.arange(0, 2 * len(places), 2).reshape(-1, *[1] * (places.ndim - 1))
        return np.maximum.accumulate(np.where(known, rows + counts, 0)) % 2 == 1

    def counted(self) -> int:
        """Return how many characters count in a loss."""
        if self.loss_after is None and self.classes is None:
            return len(self)
        return sum(int(self.counts(np.arange(low, high)).sum()) for low, high in self.blocks())

    @cached_property
    def _first_separators(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where documents begin, and the place of the first separator in each (without one, the end)."""
        begins = np.union1d(0, [] if self.starts is None else self.starts).astype(np.int64)
        firsts = np.full(len(begins), len(self))
        for low, high in self.blocks():
            found = low + np.flatnonzero(self.codes[low:high] == self.loss_after)
            documents, first = np.unique(np.searchsorted(begins, found, side="right") - 1, return_index=True)
            firsts[documents] = np.minimum(firsts[documents], found[first])
        return begins, firsts

    def _follows_separator(self, places: np.ndarray) -> np.ndarray:
        """Return for each place whether a separator occurs before it in its line."""
        flat = places.ravel()
        follows = np.zeros(len(flat), bool)
        left, passed, step = np.arange(len(flat)), 0, LOOK_BACK
        while len(left):
            before = flat[left, None] - passed - np.arange(1, step + 1)
            codes = self.codes[np.maximum(before, 0)]
            ends = (codes == self.line_end) | (before < 0)
            found = ends | (codes == self.loss_after)
            nearest = np.arange(len(left)), found.argmax(axis=1)
            follows[left] = found[nearest] & ~ends[nearest]
            left, passed = left[~found[nearest]], passed + step
            step = max(1, min(4 * step, BLOCK // max(1, len(left))))
        return follows.reshape(places.shape)

    def cut(self, low: int, high: int) -> "Part":
        """Return the stretch from `low` up to `high`."""
        starts = self.starts
        if starts is not None:
            starts = starts[np.searchsorted(starts, low) : np.searchsorted(starts, high)] - low
        return replace(self, codes=self.codes[low:high], starts=starts)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the bounds of stretches of BLOCK characters that make up the part."""
        for low in range(0, len(self), BLOCK):
            yield low, min(low + BLOCK, len(self))


def select(whole: Part, mask: Callable[[int, int], np.ndarray]) -> Part:
    """Return the characters for which `mask(low, high)` is true; each document begins at its first one of them."""
    starts: list[np.ndarray] = []

    def kept() -> Iterator[np.ndarray]:
        length = 0
        for low, high in whole.blocks():
            wanted = mask(low, high)
            if whole.starts is not None:
                inside = whole.starts[np.searchsorted(whole.starts, low) : np.searchsorted(whole.starts, high)] - low
                before = np.concatenate([[0], np.cumsum(wanted)])
                starts.append(length + before[inside])
                length += int(before[-1])
            yield whole.codes[low:high][wanted]

    codes = cache.collect(kept(), whole.codes.dtype)
    if whole.starts is None:
        return replace(whole, codes=codes)
    found = np.unique(np.concatenate(starts)) if starts else np.zeros(0, np.int64)
    return replace(whole, codes=codes, starts=found[found < len(codes)])
