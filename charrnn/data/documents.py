"""The random choice of documents that train, validate and test."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from charrnn.data.parts import Part, select
from charrnn.errors import CharRNNError


def split_documents(
    whole: Part, val: Fraction, test: Fraction, seed: int
) -> tuple[Part, tuple[Part, ...], tuple[Part, ...]]:
    """Return the documents that train, validate and test, chosen by independent draws.

    At least one document validates (if `val` is not 0), one tests (if `test` is not 0), and one trains.
    """
    if not val and not test:
        return whole, (), ()
    lowest, highest, count = _draws_of(whole, seed)
    needed = 1 + bool(val) + bool(test)
    if count < needed:
        raise CharRNNError(
            f"`split='documents'` needs {needed} documents or more; there "
            f"{'is one' if count == 1 else f'are {count}'}.",
            hint="Name several files, or say `one_per_line=True` if every line is a document, or what ends each: "
            "`documents_between='TEXT'`.",
        )
    # A document with a draw below the first bound validates, with one below the second it tests; the highest trains.
    first = min(highest, max(lowest + 1, int(val * 2**64))) if val else 0
    second = first
    if test:
        lowest, _, left = _draws_of(whole, seed, first)
        if left < 2:
            raise CharRNNError(
                f"`split='documents'` leaves no document to test with `val={float(val):g}` and `seed={seed}`.",
                hint="Use a smaller `val`, another `seed`, or more documents.",
            )
        second = min(highest, max(lowest + 1, int((val + test) * 2**64)))

    def chosen(low: int, high: int) -> Part:
        draws, lowest, highest = _Draws(seed), np.uint64(low), np.uint64(high - 1)

        def choose(n: int) -> np.ndarray:
            drawn = draws(n)
            return (drawn >= lowest) & (drawn <= highest)

        return select_documents(whole, choose)

    def held_out(low: int, high: int) -> tuple[Part, ...]:
        part = chosen(low, high) if low < high else ()
        return (part,) if isinstance(part, Part) and len(part) else ()

    return chosen(second, 2**64), held_out(0, first), held_out(first, second)


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
