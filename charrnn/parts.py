"""Parts of a text as ids: the training, validation and test parts, and where documents begin in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from charrnn import cache
from charrnn.config import CHAR_RNN_VAL, TrainConfig
from charrnn.errors import CharRNNError

# Characters that are looked at together where a whole text is gone through.
BLOCK = 1 << 20
# Characters of a line that are looked at first for what stands before a place in it; then ever more.
LOOK_BACK = 32


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of text as ids of a vocabulary, which are made of its codes where they are asked for.

    `codes`, (characters,), may lie on disk; `table` turns them into ids (without one they are ids). Documents begin at
    `starts`, or after each code `line_end` if lines are documents. With `resets` a model forgets at each. With a code
    `loss_after` only what stands behind the first of it in each document counts in a loss.
    """

    codes: np.ndarray
    table: np.ndarray | None = None
    starts: np.ndarray | None = None
    line_end: int | None = None
    resets: bool = False
    loss_after: int | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, places: np.ndarray | slice) -> np.ndarray:
        """Return the ids at some places, int32 of their shape."""
        codes = self.codes[places]
        return (codes if self.table is None else self.table[codes]).astype(np.int32)

    def ids(self, low: int = 0, high: int | None = None) -> np.ndarray:
        """Return the ids of a stretch, int32, by default of all."""
        return self.at(slice(low, high))

    def begins(self, places: np.ndarray) -> np.ndarray:
        """Return whether a document begins at each of some places, none of them negative."""
        first = places == 0
        if self.line_end is not None:
            return first | (self.codes[places - 1] == self.line_end)
        if self.starts is None or not len(self.starts):
            return first
        after = np.searchsorted(self.starts, places)
        return first | (self.starts[np.minimum(after, len(self.starts) - 1)] == places)

    def counts(self, places: np.ndarray) -> np.ndarray:
        """Return whether the character at each of some places counts in a loss, bool of their shape.

        Along the first axis every place is the next after the one before, or 0; none is negative.
        """
        if self.loss_after is None:
            return np.ones(places.shape, bool)
        if self.line_end is None:
            begins, firsts = self._first_separators
            return places > firsts[np.searchsorted(begins, places, side="right") - 1]
        before = self.codes[places - 1]
        counts = (before == self.loss_after) & (places > 0)
        known = counts | (before == self.line_end) | (places == 0)
        counts[:1], known[:1] = self._follows_separator(places[:1]), True
        # Elsewhere it is as at the place before: the highest number so far is that of the last that is known.
        rows = np.arange(0, 2 * len(places), 2).reshape(-1, *[1] * (places.ndim - 1))
        return np.maximum.accumulate(np.where(known, rows + counts, 0)) % 2 == 1

    def counted(self) -> int:
        """Return how many characters count in a loss."""
        if self.loss_after is None:
            return len(self)
        return sum(int(self.counts(np.arange(low, high)).sum()) for low, high in self.blocks())

    @cached_property
    def _first_separators(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where documents of an index begin, and the place of the first separator in each (the end: none)."""
        begins = np.union1d(0, [] if self.starts is None else self.starts).astype(np.int64)
        firsts = np.full(len(begins), len(self))
        for low, high in self.blocks():
            found = low + np.flatnonzero(self.codes[low:high] == self.loss_after)
            documents, first = np.unique(np.searchsorted(begins, found, side="right") - 1, return_index=True)
            firsts[documents] = np.minimum(firsts[documents], found[first])
        return begins, firsts

    def _follows_separator(self, places: np.ndarray) -> np.ndarray:
        """Return for each place whether a separator stands before it in its line, looking back no further."""
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


@dataclass(frozen=True, eq=False)
class Split:
    """What to train on, what to validate on during training, and what to test on at its end: contiguous parts."""

    train: Part
    val: tuple[Part, ...] = ()
    test: tuple[Part, ...] = ()


def split(whole: Part, config: TrainConfig) -> Split:
    """Return the training, validation and test parts of a text.

    "tail": the last share `test` tests and the share `val` before it validates. "documents": whole documents, chosen at
    random by `seed`. "char-rnn": as karpathy/char-rnn, the text is cut into `batch` equal streams (the remainder is
    dropped) and the last 5 % of each validates, whatever `val` says; its training part is the rest of each in turn.
    """
    # In floats 10 * (1 - 0.9) is below 1; the decimal numbers that the user wrote are meant.
    val, test = Fraction(str(config.val)), Fraction(str(config.test))
    if config.split == "tail":
        parts = _tail(whole, val, test)
    elif config.split == "documents":
        parts = _documents(whole, val, test, config.seed)
    else:
        parts = _char_rnn(whole, config.batch)
    if not len(parts.train):
        raise CharRNNError(
            f"The text has {len(whole):,} characters: too few to leave any for training beside the validation part.",
            hint="Use a longer text, or --split tail with a smaller --val (0 for none).",
        )
    return parts


def _tail(whole: Part, val: Fraction, test: Fraction) -> Split:
    n = len(whole)
    first, second = (_line_begin(whole, int(n * share)) for share in (1 - val - test, 1 - test))
    return Split(
        whole.cut(0, first),
        (whole.cut(first, second),) if first < second else (),
        (whole.cut(second, n),) if second < n else (),
    )


def _line_begin(whole: Part, place: int) -> int:
    """Return the place itself or, where lines are documents, the next beginning of one if it is near."""
    if whole.line_end is None or not 0 < place < len(whole):
        return place
    near = np.arange(place, min(place + BLOCK, len(whole)))
    begins = whole.begins(near)
    return int(near[begins.argmax()]) if begins.any() else place


def _char_rnn(whole: Part, batch: int) -> Split:
    if whole.resets and whole.line_end is None:
        raise CharRNNError("--split char-rnn knows no documents.", hint="Use --split tail or documents.")
    length = len(whole) // batch
    cut = length * round(100 * (1 - CHAR_RNN_VAL)) // 100
    streams = whole.codes[: batch * length].reshape(batch, length)
    train = replace(whole, codes=cache.collect((stream[:cut] for stream in streams), whole.codes.dtype), starts=None)
    val = tuple(replace(whole, codes=stream[cut:], starts=None) for stream in streams)
    return Split(train, val if cut < length else ())


def _documents(whole: Part, val: Fraction, test: Fraction, seed: int) -> Split:
    """Choose documents by independent draws; at least one validates, if any is to, one tests, and one trains."""
    if not val and not test:
        return Split(whole)
    lowest, highest, count = _draws_of(whole, seed)
    needed = 1 + bool(val) + bool(test)
    if count < needed:
        raise CharRNNError(
            f"--split documents needs {needed} documents or more; there {'is one' if count == 1 else f'are {count}'}.",
            hint="Name several files, or say --lines if every line is a document.",
        )
    # A draw below the first bound validates, one from there to the second tests, and the highest trains.
    first = min(highest, max(lowest + 1, int(val * 2**64))) if val else 0
    second = first
    if test:
        lowest, _, left = _draws_of(whole, seed, first)
        if left < 2:
            raise CharRNNError(
                f"--split documents leaves no document to test with --val {float(val):g} and --seed {seed}.",
                hint="Use a smaller --val, another --seed, or more documents.",
            )
        second = min(highest, max(lowest + 1, int((val + test) * 2**64)))

    def chosen(low: int, high: int) -> Part:
        draws, lowest, highest = _Draws(seed), np.uint64(low), np.uint64(high - 1)

        def choose(n: int) -> np.ndarray:
            drawn = draws(n)
            return (drawn >= lowest) & (drawn <= highest)

        return select_documents(whole, choose)

    parts = [(chosen(low, high),) if low < high else () for low, high in ((0, first), (first, second))]
    return Split(chosen(second, 2**64), *(part if part and len(part[0]) else () for part in parts))


class _Draws:
    """The random numbers of documents in their order: the raw stream of Philox, which is promised never to change."""

    def __init__(self, seed: int):
        # Another key than that of the streams' offsets, whose second word is an epoch.
        self.philox = np.random.Philox(key=np.array([seed, 2**64 - 1], np.uint64))

    def __call__(self, n: int) -> np.ndarray:
        return self.philox.random_raw(n)


def _draws_of(whole: Part, seed: int, above: int = 0) -> tuple[int, int, int]:
    """Return the lowest and the highest number from `above` on that any document draws, and how many do."""
    draws, lowest, highest, count = _Draws(seed), 2**64 - 1, 0, 0
    for low, high in whole.blocks():
        n = int(whole.begins(np.arange(low, high)).sum())
        drawn = draws(n)
        drawn = drawn[drawn >= np.uint64(above)]
        if len(drawn):
            lowest, highest, count = min(lowest, int(drawn.min())), max(highest, int(drawn.max())), count + len(drawn)
    return lowest, highest, count


def select_documents(whole: Part, choose: Callable[[int], np.ndarray]) -> Part:
    """Return the documents for which `choose` says so: it is asked for the next n of them, again and again."""
    current = np.zeros(1, bool)

    def mask(low: int, high: int) -> np.ndarray:
        nonlocal current
        begins = whole.begins(np.arange(low, high))
        choices = np.concatenate([current, choose(int(begins.sum()))])
        current = choices[-1:]
        return choices[np.cumsum(begins)]

    return select(whole, mask)


def select(whole: Part, mask: Callable[[int, int], np.ndarray]) -> Part:
    """Return the characters for which `mask(low, high)` is true; a document begins where its first of them stands."""
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
