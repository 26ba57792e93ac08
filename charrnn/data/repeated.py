"""Held-out text that also occurs in the training part: the loss on it is too low."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from charrnn.data.parts import Part

# At most this many held-out pieces are looked up in this many training characters; that takes a second or two.
PIECES, CHARACTERS = 20_000, 50_000_000
# A larger fraction of the pieces gives a notice.
WORTH_TELLING = 0.02
# Text that is not a copy hardly ever repeats this many characters: Tiny Shakespeare never, Python sources 2 %.
STRETCH = 64
# 64-bit factors that mix the numbers of neighbours, so that different stretches have different numbers.
_SPREAD, _MIX = np.uint64(0x9E3779B97F4A7C15), 0xD1B54A32D192ED03

# Yields what is compared of a part, lines or such; finds which of those that are wanted a part has.
Pieces = Callable[[Part], Iterator[Any]]
Find = Callable[[Part, Counter[Any]], set[Any]]


@dataclass(frozen=True)
class Repeated:
    """How many (`count`) of the held-out `pieces`, such as lines (`kind`), also occur in the training part."""

    pieces: int
    count: int
    kind: str

    @property
    def matters(self) -> bool:
        """Return whether there are enough of them to change what is measured."""
        return self.count > WORTH_TELLING * self.pieces

    def __str__(self) -> str:
        return f"{self.count:,} of {self.pieces:,} {self.kind}"

    def to_json(self) -> dict[str, Any]:
        """Return the members that the log has of it."""
        return {"pieces": self.pieces, "count": self.count, "kind": self.kind}


def repeated(train: Part, held_out: Sequence[Part], unit: str = "character") -> Repeated:
    """Return how many held-out lines or documents inside files, or else stretches of STRETCH `unit`s, train too.

    Blank lines and stretches of a single character do not count. Of a large text only the beginnings are compared
    (PIECES, CHARACTERS): there may be more repetitions.
    """
    kind, pieces, find = _compared(train, unit)
    wanted: Counter[Any] = Counter(islice((piece for part in held_out for piece in pieces(part)), PIECES))
    count = sum(wanted[piece] for piece in find(train, wanted))
    return Repeated(wanted.total(), count, kind)


def _compared(train: Part, unit: str) -> tuple[str, Pieces, Find]:
    """Return what is compared: its name, what yields it, and what finds it in a part that trains."""
    if train.line_end is not None:
        return "lines", _lines, _found_in(_lines)
    if train.inner:
        return "documents", _documents, _found_in(_documents)
    return f"stretches of {STRETCH} {unit}s", _stretches, _found_stretches


def _lines(part: Part) -> Iterator[str]:
    """Yield the lines of a part that are not blank, each as a string that has a character for each id."""
    assert part.line_end is not None
    line_end = part.line_end if part.table is None else int(part.table[part.line_end])
    tail = ""
    for low, high in _beginning(part).blocks():
        ids = part.ids(low, high).astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        *lines, tail = (tail + ids).split(chr(line_end))
        yield from filter(None, lines)


def _documents(part: Part) -> Iterator[bytes]:
    """Yield a digest of each document of a part."""
    part = _beginning(part)
    begins = [] if part.starts is None else part.starts.tolist()
    for low, high in pairwise([*begins, len(part)]):
        yield hashlib.blake2b(part.ids(low, high).tobytes(), digest_size=16).digest()


def _found_in(pieces: Pieces) -> Find:
    """Return what finds the wanted pieces of a part among all that it has."""
    return lambda train, wanted: set(filter(wanted.__contains__, pieces(train))) if wanted else set()


def _stretches(part: Part) -> Iterator[int]:
    """Yield a number for each stretch of a part, one after the other, without overlap."""
    for low in range(0, len(part) - STRETCH + 1, STRETCH):
        ids = part.ids(low, low + STRETCH)
        if (ids != ids[0]).any():
            yield int(_numbers(ids)[0])


def _found_stretches(train: Part, wanted: Counter[int]) -> set[int]:
    """Return which of the wanted numbers occur among the stretches of a part that begin anywhere."""
    if not wanted:
        return set()
    numbers = np.array(sorted(wanted), np.uint64)
    # The first bits of a number already show that most stretches are not wanted.
    begins = np.zeros(1 << 16, bool)
    begins[numbers >> np.uint64(48)] = True
    found: set[int] = set()
    for low, high in _beginning(train).blocks():
        all_numbers = _numbers(train.ids(low, high + STRETCH - 1))
        some = all_numbers[begins[all_numbers >> np.uint64(48)]]
        # By sorting: NumPy 2.0 fails in its way for few numbers, if they have 64 bits.
        found.update(some[np.isin(some, numbers, kind="sort")].tolist())
    return found


def _numbers(ids: np.ndarray) -> np.ndarray:
    """Return a number for the stretch that begins at each id, (ids - STRETCH + 1,): equal ones for equal stretches.

    They are polynomials of the ids, modulo 2^64: of twice the length at each round, until it is that of a stretch.
    """
    numbers, length, mix = ids.astype(np.uint64) * _SPREAD, 1, _MIX
    while length < STRETCH:
        numbers = numbers[:-length] * np.uint64(mix) + numbers[length:]
        length, mix = 2 * length, mix * mix % 2**64
    return numbers


def _beginning(part: Part) -> Part:
    return part.cut(0, min(len(part), CHARACTERS))
