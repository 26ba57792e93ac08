"""Positions that are spread over a text, and the characters before each."""

from collections.abc import Sequence

import numpy as np

from charrnn.data.batches import Window
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError

# Before the states that matter, a network reads so many characters.
WARM = 256


def windows_before(parts: Sequence[Part], count: int, reach: int, start: int) -> Window:
    """Return windows of WARM + `reach` characters; each ends at one of up to `count` positions, spread over all parts.

    A position is a character that counts in the loss, and before which its document has at least `reach` characters.
    No document begins in the last `reach` characters of a window. Where the text has no character, a window has
    `start`, the id of the start symbol. Raise CharRNNError if no position has so many characters before it.
    """
    found, longest = [], 0
    for number, part in enumerate(parts):
        places = np.arange(len(part))
        begins = part.begins(places) if part.resets else places == 0
        depth = places - np.maximum.accumulate(np.where(begins, places, 0))
        depth[~part.counts(places)] = 0
        longest = max(longest, int(depth.max(initial=0)))
        fitting = places[depth >= reach]
        found.append(np.stack([np.full(len(fitting), number), fitting]))
    positions = np.concatenate(found, axis=1)
    if not positions.shape[1]:
        where = "in its document " if any(part.resets for part in parts) else ""
        raise CharRNNError(
            f"`reach` is {reach:,}, but no character that counts has so many {where}before it: at most {longest:,}.",
            hint=f"Use `reach={longest}` or less, or another text." if longest else "Use a longer text.",
        )
    exist = positions.shape[1]
    spread = np.unique(np.linspace(0, exist - 1, min(count, exist)).round().astype(np.int64))
    columns = [_before(parts[number], place, WARM + reach, start) for number, place in positions[:, spread].T]
    return Window(*(np.stack(arrays, axis=1) for arrays in zip(*columns, strict=True)))


def _before(part: Part, place: int, length: int, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs, the targets and the resets of a window that ends at a place, (length,) each."""
    inputs, targets, reset = np.full(length, start, np.int32), np.zeros(length, np.int32), np.zeros(length, bool)
    places = np.arange(max(0, place + 1 - length), place + 1)
    own = slice(length - len(places), length)
    begins = part.begins(places) if part.resets else places == 0
    inputs[own] = np.where(begins, start, part.at(places - 1))
    targets[own], reset[own] = part.targets(places), begins
    return inputs, targets, reset
