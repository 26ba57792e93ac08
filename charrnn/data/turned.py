"""Texts that a model reads from their ends to their beginnings: what `TextConfig.reverse` means for a part."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from charrnn.data.parts import Part
from charrnn.text import cache


def turned(part: Part, end: Sequence[int]) -> Part:
    """Return a part in the order in which a model reads it that reads each document from its end to its beginning.

    Each document still ends with the ids `end`. The last document comes first. If the model does not forget documents,
    the whole part is one document without an end.
    """
    if not part.resets:
        part, end = replace(part, starts=None, line_end=None), ()
    blocks = _turned(part, end) if part.line_end is None else _turned_lines(part)
    codes = cache.collect(blocks, part.codes.dtype)
    return replace(part, codes=codes, starts=None if part.starts is None else _starts(part))


def _starts(part: Part) -> np.ndarray:
    """Return where documents begin in the turned part."""
    starts = np.union1d(0, [] if part.starts is None else part.starts).astype(np.int64)
    return len(part) - np.append(starts[1:], len(part))[::-1]


def _turned_lines(part: Part) -> Iterator[np.ndarray]:
    """Yield the codes of a turned part of lines: turned as a whole, each line ends with the line break before it."""
    n, ended = len(part), bool(len(part)) and part.codes[-1] == part.line_end
    for low, high in part.blocks():
        yield part.codes[(n - 1 - ended - np.arange(low, high)) % n]


def _is_ended(part: Part, end: Sequence[int]) -> bool:
    """Return whether the last document of a part has its end: the ids `end` or, with classes, a label."""
    n = len(part)
    if part.classes is not None:
        return bool(part.counts(np.arange(n - 1, n)).all())
    return part.at(slice(max(0, n - len(end)), n)).tolist() == list(end)


def _turned(part: Part, end: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the codes of a turned part whose documents begin at its `starts`."""
    n, begins = len(part), _starts(part)
    bounds = np.append(begins, n)
    # How many codes end each document. The last one of the part, which comes first here, may have been cut.
    ends = np.full(len(begins), len(end) if part.classes is None else 1)
    if not _is_ended(part, end):
        ends[0] = 0
    for low, high in part.blocks():
        places = np.arange(low, high)
        document = np.searchsorted(begins, places, side="right") - 1
        inside, length = places - begins[document], np.diff(bounds)[document]
        first, content = n - bounds[document + 1], length - ends[document]
        yield part.codes[first + np.where(inside < content, content - 1 - inside, inside)]
