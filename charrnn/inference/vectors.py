"""Vectors of texts: the hidden state after the characters of a text, pooled into one vector of fixed length."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.inference.attention import texts_at_once
from charrnn.inference.model import Model
from charrnn.inference.scoring import SIDE_BY_SIDE, Reader, groups, padded
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards
from charrnn.network.units import Field, values


class Pool(NamedTuple):
    """How the states after the characters of a text become one vector.

    `parts`: how many values it has of each unit. `add(out, t, state, live, ended)` takes in the state after character t
    of all texts, (texts, units), into `out`, (texts, parts, units): the texts `live` have this character, and it is the
    last one of the texts `ended`. `finish(out, lengths)` computes the vectors in place.
    """

    parts: int
    add: Callable[[np.ndarray, int, np.ndarray, slice, slice], None]
    finish: Callable[[np.ndarray, np.ndarray], None] = lambda out, lengths: None


def _last(out: np.ndarray, t: int, state: np.ndarray, live: slice, ended: slice) -> None:
    out[ended, -1] = state[ended]


def _first_and_last(out: np.ndarray, t: int, state: np.ndarray, live: slice, ended: slice) -> None:
    if t == 0:
        out[live, 0] = state[live]
    _last(out, t, state, live, ended)


def _sum(out: np.ndarray, t: int, state: np.ndarray, live: slice, ended: slice) -> None:
    if t == 0:
        out[live, 0] = state[live]
    else:
        out[live, 0] += state[live]


def _divide(out: np.ndarray, lengths: np.ndarray) -> None:
    out /= np.maximum(lengths, 1)[:, None, None]


def _largest(out: np.ndarray, t: int, state: np.ndarray, live: slice, ended: slice) -> None:
    if t == 0:
        out[live, 0] = state[live]
    else:
        np.maximum(out[live, 0], state[live], out=out[live, 0])


POOLS = {
    "last": Pool(1, _last),
    "mean": Pool(1, _sum, _divide),
    "max": Pool(1, _largest),
    "first-last": Pool(2, _first_and_last),
}


def width(model: Model, pool: str, fields: Sequence[Field]) -> int:
    """Return how many numbers a vector has: for each part of the pool, the units of each field."""
    return POOLS[pool].parts * len(fields) * model.config.units


def vectors(begun: Reader, texts: Sequence[np.ndarray], pool: str, fields: Sequence[Field]) -> np.ndarray:
    """Return a vector for each text, float32 (texts, width), each read after the ids that `begun` has read.

    texts: ids, in the order in which the model reads them. The characters of a text count, not what is before it; the
    vector of an empty text is the state before it.
    """
    model = begun.stream.model
    result = np.empty((len(texts), width(model, pool, fields)), np.float32)
    # An empty text is read as one character, which does not count.
    lengths = [len(text) for text in texts]
    for group in groups([max(1, length) for length in lengths], texts_at_once(model.config, SIDE_BY_SIDE)):
        group.sort(key=lambda place: lengths[place])
        ids, places = padded(texts, group), np.array(group)
        result[places] = _together(model, begun, ids, np.array([lengths[place] for place in group]), pool, fields)
    return result


def check_finite(numbers: np.ndarray) -> None:
    """Raise CharRNNError if vectors, or their sum, are not finite."""
    if not np.isfinite(numbers).all():
        raise CharRNNError(
            "The vectors have numbers that are not finite: the training of the model has probably diverged.",
            hint="Use an earlier checkpoint, or train again with a lower `lr`.",
        )


def _together(
    model: Model, begun: Reader, ids: np.ndarray, lengths: np.ndarray, pool: str, fields: Sequence[Field]
) -> np.ndarray:
    """Return the vectors of texts that are read in parallel, (texts, width); ids: (time, texts), the longest last."""
    count, kind = ids.shape[1], POOLS[pool]
    # A sum over many characters is exact only in float64.
    out = np.zeros((count, kind.parts, len(fields) * model.config.units), np.float64)

    def read(stream: Stream, rows: slice) -> None:
        own, own_lengths = out[rows], lengths[rows]
        stream.copy(begun.stream)
        stream.step(np.repeat(begun.previous[0], stream.batch))
        state = side_by_side(stream, fields)
        own[own_lengths == 0] = state[own_lengths == 0][:, None]
        # How many texts have ended before each character, as the longest come last.
        over = np.searchsorted(own_lengths, np.arange(len(ids) + 1), side="right")
        for t, now in enumerate(ids[: own_lengths[-1], rows]):
            stream.step(now)
            kind.add(own, t, side_by_side(stream, fields), slice(over[t], None), slice(over[t], over[t + 1]))
        kind.finish(own, own_lengths)

    with Shards(model, count) as shards:
        shards.expect(len(ids) + 1)
        shards.each(read)
    # For each part of the pool, all fields.
    return out.reshape(count, -1)


def side_by_side(stream: Stream, fields: Sequence[Field]) -> np.ndarray:
    """Return the values of fields of a stream's state, (texts, fields x units)."""
    found = [np.reshape(value, (stream.batch, -1)) for value in values(stream.states, fields)]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)
