"""What units do while a model reads a text: their values after each character, read in several stretches at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.data.parts import Part
from charrnn.inference.attention import texts_at_once
from charrnn.inference.generation import not_a_number
from charrnn.inference.model import Model
from charrnn.inference.scoring import SIDE_BY_SIDE, groups
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards
from charrnn.inference.vectors import side_by_side
from charrnn.network.units import Unit

# A long text is read in up to so many stretches at once, none shorter than SHORTEST characters; each is read after the
# WARM characters before it, which do not count.
STRETCHES, SHORTEST, WARM = 64, 1024, 256
# After so many steps all threads wait for each other, so that Ctrl-C need not wait long.
STEPS = 64

# Is called after each step of a stream, with the place in the text of the character of each row; -1: it has none.
Watch = Callable[[Stream, np.ndarray], None]

Tell = Callable[[int, int], None]


class Stretch(NamedTuple):
    """A stretch of a text: the places of its characters in the order of reading; the first `warm` do not count."""

    places: np.ndarray
    warm: int


def documents(model: Model, part: Part) -> list[np.ndarray]:
    """Return the places of the characters of each document, in the order in which the model reads them.

    If the model does not forget at documents, the whole text is one.
    """
    places = np.arange(len(part))
    if not part.resets:
        return [places[::-1] if model.text.reverse else places]
    split = np.split(places, np.flatnonzero(part.begins(places))[1:])
    return [document[model.order(part.at(document))] for document in split]


def stretches(model: Model, part: Part, at_once: int) -> list[Stretch]:
    """Return the stretches of a text of which about `at_once` are read in parallel, and more where documents end."""
    size = max(SHORTEST, -(-len(part) // at_once))
    if at_once == 1:
        size = max(1, len(part))
    found = []
    for document in documents(model, part):
        for low in range(0, len(document), size):
            begin = max(0, low - WARM)
            found.append(Stretch(document[begin : low + size], low - begin))
    return found


def read(
    model: Model, part: Part, watcher: Callable[[], Watch], at_once: int = STRETCHES, tell: Tell | None = None
) -> None:
    """Read a text with NumPy; `watcher()` makes what watches the steps of one stream, on a thread of its own.

    `tell` is called with the number of characters that have been read, about, and that of all.
    """
    found = stretches(model, part, at_once)
    done, total = 0, sum(len(stretch.places) for stretch in found)
    for group in groups([len(stretch.places) for stretch in found], texts_at_once(model.config, SIDE_BY_SIDE)):
        # The longest comes last.
        of = sorted((found[place] for place in group), key=lambda stretch: len(stretch.places))
        for characters in _together(model, part, of, watcher):
            if tell is not None:
                tell(min(done + characters, total - 1), total)
        done += sum(len(stretch.places) for stretch in of)
    if tell is not None:
        tell(total, total)


def _together(model: Model, part: Part, of: Sequence[Stretch], watcher: Callable[[], Watch]) -> Iterator[int]:
    """Read stretches in parallel, a few steps at a time; yield about how many characters have been read."""
    places = np.zeros((len(of[-1].places), len(of)), np.int64)
    counted = np.full(places.shape, -1)
    for row, stretch in enumerate(of):
        length = len(stretch.places)
        places[:length, row] = stretch.places
        counted[stretch.warm : length, row] = stretch.places[stretch.warm :]
    with Shards(model, len(of)) as shards:
        watches = {rows.start: watcher() for rows in shards.rows}
        for stream in shards.streams:
            stream.step(np.full(stream.batch, model.vocab.start))
        steps = slice(0, 0)

        def go(stream: Stream, rows: slice) -> None:
            for ids, count in zip(part.at(places[steps, rows]), counted[steps, rows], strict=True):
                stream.step(ids)
                watches[rows.start](stream, count)

        for low in range(0, len(places), STEPS):
            steps = slice(low, low + STEPS)
            shards.each(go)
            yield min(len(places), low + STEPS) * len(of)


def activations(
    model: Model, part: Part, units: Sequence[Unit], at_once: int = 1, tell: Tell | None = None
) -> np.ndarray:
    """Return the values of units after each character of a text, float32 (characters, units)."""
    of = list(dict.fromkeys(unit.field for unit in units))
    columns = np.array([of.index(unit.field) * model.config.units + unit.place for unit in units], np.intp)
    out = np.zeros((len(part), len(units)), np.float32)

    def watch(stream: Stream, places: np.ndarray) -> None:
        rows = np.flatnonzero(places >= 0)
        out[places[rows]] = side_by_side(stream, of)[np.ix_(rows, columns)]

    read(model, part, lambda: watch, at_once, tell)
    if not np.isfinite(out).all():
        raise not_a_number()
    return out
