"""A text that has been read: its characters as codes, its documents, and where it came from."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

import numpy as np

from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.text.labelled import FIRST, is_label

# The size of a block, in characters, for loops over a whole text.
BLOCK = 1 << 20
# Most documents of the same length differ within this many characters at their beginning.
_BEGINNING = 4096


@dataclass(frozen=True, eq=False)
class Text:
    """The text of some sources, read as `config` says; `notices` are notices for the user about that.

    `codes`, (characters,), are places in `symbols`, the characters in the order in which they first appear; `counts`
    says how often each occurs. File `names[i]` begins at character `starts[i]`. `begins` says where documents inside
    files begin; it is None if documents are files or lines. `sha256` and `byte_count` are of the bytes of all files,
    unpacked; `sources` are absolute paths, or "-", "-2", … for stdin and pipes; `name` is the name of the first, safe
    as a file name; `kept` has the bytes of stdin and pipes by their names in `sources`, if they were to be kept.
    `labels`: if the documents have labels, these in the order in which they first appear. Each document then ends with
    the symbol of its label (`charrnn.text.labelled`), which is in `symbols`, but is no character of the text.
    """

    codes: np.ndarray
    symbols: str
    counts: np.ndarray
    names: tuple[str, ...]
    starts: np.ndarray
    sha256: str
    byte_count: int
    sources: tuple[str, ...]
    name: str
    kept: Mapping[str, BinaryIO] = field(default_factory=dict)
    config: TextConfig = DEFAULT_TEXT
    include: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    begins: np.ndarray | None = None
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def _points(self) -> np.ndarray:
        return np.frombuffer(self.symbols.encode("utf-32-le"), "<u4")

    @property
    def counted(self) -> dict[str, int]:
        """Return how often each character occurs."""
        counted = zip(self.symbols, self.counts.tolist(), strict=True)
        return {symbol: count for symbol, count in counted if self.labels is None or not is_label(symbol)}

    @property
    def labelled(self) -> dict[str, int]:
        """Return how many documents have each label; {} if the documents have none."""
        found = {
            int(ord(symbol) - FIRST): count
            for symbol, count in zip(self.symbols, self.counts.tolist(), strict=True)
            if self.labels is not None and is_label(symbol)
        }
        return {label: found[place] for place, label in enumerate(self.labels or ())}

    @property
    def inner_documents(self) -> int | None:
        """Return how many documents there are inside files, lines among them; None where documents are files."""
        if self.config.one_per_line:
            return self.counted.get("\n", 0)
        return None if self.begins is None else len(self.begins)

    def decode(self, low: int = 0, high: int | None = None) -> str:
        """Return a stretch of the text, by default all of it."""
        return self._points[self.codes[low:high]].tobytes().decode("utf-32-le")

    def copies(self) -> list[tuple[int, int]]:
        """Return pairs of documents with the same content, in the order of the earlier one: (earlier, later).

        A document whose length is unique is not read.
        """
        lengths = np.diff(self.starts, append=len(self)).tolist()
        starts = self.starts.tolist()

        def beginning(document: int) -> bytes:
            size = min(lengths[document], _BEGINNING)
            return self.codes[starts[document] : starts[document] + size].tobytes()

        def content(document: int) -> bytes:
            codes = self.codes[starts[document] : starts[document] + lengths[document]]
            return hashlib.sha256(np.ascontiguousarray(codes).data).digest()

        groups = [list(range(len(lengths)))]
        for key in (lengths.__getitem__, beginning, content):
            groups = [alike for group in groups for alike in _alike(group, key)]
        return sorted((earlier, later) for earlier, *others in groups for later in others)

    def carriage_returns(self) -> list[str]:
        """Return a notice for the user who trains on a text with carriage returns."""
        count = 0 if self.config.bytes else self.counted.get("\r", 0)
        if not count:
            return []
        where, first = self.names[0], ""
        if len(self.names) > 1:
            where, first = "The text", f", the first at {self.places(chr(13), 1)[chr(13)][0]}"
        return [
            f"{where} has carriage returns ({count:,}, line ends of Windows or of old systems{first}). The model would "
            "learn them; `newlines='lf'` turns them into plain line ends."
        ]

    def empty_lines(self) -> int:
        """Return the number of lines that are empty or have only the CR of a Windows line end; a line ends the text."""
        line_break, carriage_return = self.symbols.find("\n"), self.symbols.find("\r")
        empty, before = 0, np.full(2, max(line_break, 0), self.codes.dtype)
        for low in range(0, len(self), BLOCK):
            block = np.concatenate([before, self.codes[low : low + BLOCK]])
            breaks, returns, before = block == line_break, block == carriage_return, block[-2:]
            empty += int(np.count_nonzero(breaks[2:] & (breaks[1:-1] | (returns[1:-1] & breaks[:-2]))))
        return empty

    def places(self, characters: Iterable[str], limit: int) -> dict[str, list[str]]:
        """Return the first places of some characters, FILE:LINE:COLUMN from 1, at most `limit` for each."""
        found: dict[str, list[str]] = {character: [] for character in characters}
        wanted = np.array([symbol in found for symbol in self.symbols])
        lines = _Lines(self)
        for low in range(0, len(self) if wanted.any() else 0, BLOCK):
            block = self.codes[low : low + BLOCK]
            lines.enter(low, block)
            hits = np.flatnonzero(wanted[block])
            codes = block[hits]
            for code in np.unique(codes).tolist():
                places = found[self.symbols[code]]
                places += map(lines.place, (low + hits[codes == code][: limit - len(places)]).tolist())
                wanted[code] = len(places) < limit
        return found


def _alike(documents: Iterable[int], key: Callable[[int], Hashable]) -> Iterator[list[int]]:
    """Yield the groups of two or more documents with the same key."""
    found: dict[Hashable, list[int]] = {}
    for document in documents:
        found.setdefault(key(document), []).append(document)
    return (same for same in found.values() if len(same) > 1)


class _Lines:
    """Finds file, line and column of places in a text that is read block by block."""

    def __init__(self, text: Text):
        self.text = text
        self.line_break = text.symbols.find("\n")
        self.breaks = np.zeros(0, np.int64)
        # Line breaks before this block, the place of the last of them, those before the document that it begins in.
        self.low, self.before, self.last, self.before_document = 0, 0, -1, 0

    def enter(self, low: int, block: np.ndarray) -> None:
        """Go on to the block that begins at `low`."""
        starts = self.text.starts
        document = int(np.searchsorted(starts, low)) - 1
        if document >= 0:
            self.before_document = self._before_document(int(starts[document]))
        self.before += len(self.breaks)
        self.last = int(self.breaks[-1]) if len(self.breaks) else self.last
        self.low, self.breaks = low, low + np.flatnonzero(block == self.line_break)

    def place(self, place: int) -> str:
        """Return FILE:LINE:COLUMN of a character of this block."""
        document = int(np.searchsorted(self.text.starts, place, side="right")) - 1
        begin = int(self.text.starts[document])
        passed = int(np.searchsorted(self.breaks, place))
        line = 1 + self.before + passed - self._before_document(begin)
        last = int(self.breaks[passed - 1]) if passed else self.last
        name = self.text.names[document]
        # Lines are those of what was read, which of a file of records is not all.
        name = name if self.text.config.field is None else f"the texts of {name}"
        return f"{name}:{line}:{place - max(last, begin - 1)}"

    def _before_document(self, begin: int) -> int:
        """Return the number of line breaks before the document that begins at `begin`."""
        if begin < self.low:
            return self.before_document
        return self.before + int(np.searchsorted(self.breaks, begin))
