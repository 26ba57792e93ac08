"""Documents that are held out and stand among those that train, too: what is measured on them is no surprise."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, pairwise
from typing import Any

import numpy as np

from charrnn.data.parts import Part

# Of what is held out so many documents are looked up, among so many characters that train; a second or two in all.
DOCUMENTS, CHARACTERS = 20_000, 50_000_000
# What is more than this share of the documents is worth telling.
WORTH_TELLING = 0.01


@dataclass(frozen=True)
class Repeated:
    """Of so many `documents`, which are "lines" or "files", so many (`count`) are also among those that train."""

    documents: int
    count: int
    kind: str

    @property
    def matters(self) -> bool:
        """Return whether there are enough of them to change what is measured."""
        return self.count > WORTH_TELLING * self.documents

    def __str__(self) -> str:
        return f"{self.count:,} of {self.documents:,} {self.kind}"


def repeated(train: Part, held_out: Sequence[Part]) -> Repeated | None:
    """Return how many documents are held out and train as well; None where there are no documents. Blank ones are none.

    Of a large text only the beginnings are looked at (DOCUMENTS, CHARACTERS): there may be more.
    """
    by_lines = train.line_end is not None
    if not by_lines and train.starts is None:
        return None
    held = (document for part in held_out for document in (_lines(part) if by_lines else _files(part)))
    wanted: Counter[Any] = Counter(islice(held, DOCUMENTS))
    trained = _lines(train) if by_lines else _files(train, {length for length, _ in wanted})
    found = set(filter(wanted.__contains__, trained)) if wanted else set()
    count = sum(wanted[document] for document in found)
    return Repeated(wanted.total(), count, "lines" if by_lines else "files")


def _lines(part: Part) -> Iterator[str]:
    """Yield the lines of a part that are not blank, each as a string that has a character for each id."""
    assert part.line_end is not None
    line_end = part.line_end if part.table is None else int(part.table[part.line_end])
    tail = ""
    for low, high in part.cut(0, min(len(part), CHARACTERS)).blocks():
        ids = part.ids(low, high).astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        *lines, tail = (tail + ids).split(chr(line_end))
        yield from filter(None, lines)


def _files(part: Part, lengths: Collection[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield length and digest of each file of a part or, with `lengths`, of those that are so long."""
    whole = part.cut(0, min(len(part), CHARACTERS))
    bounds = np.union1d([0, len(part)], [] if part.starts is None else part.starts).astype(int).tolist()
    for low, high in pairwise(bounds):
        if high <= len(whole) and (lengths is None or high - low in lengths):
            digest = blake2b(digest_size=16)
            for begin, end in whole.cut(low, high).blocks():
                digest.update(whole.ids(low + begin, low + end).tobytes())
            yield high - low, digest.digest()
