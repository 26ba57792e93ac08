"""How well a model predicts a text: the exact loss, the hidden state carried from the first character to the last."""

from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.parts import BLOCK, Part
from charrnn.runtime.model import Model, Stream

# Characters read at once: fewer where the logits of so many would take more than so many numbers.
CHUNK = 1024
LOGITS = 1 << 23
# Documents that are read side by side, of about the same length among so many.
SIDE_BY_SIDE = 64
SORTED = 2048


class Reader:
    """`batch` texts that are read side by side from their beginnings, a stretch at a time."""

    def __init__(self, model: Model, batch: int):
        self.stream = Stream(model, batch)
        self.previous = np.full((1, batch), model.vocab.start)
        self.chunk = max(16, min(CHUNK, LOGITS // (batch * model.vocab.size)))

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """Return what each of the next characters costs in nats, float32 (time, batch), as `ids`."""
        nats = np.empty(ids.shape, np.float32)
        for low in range(0, len(ids), self.chunk):
            targets = ids[low : low + self.chunk]
            inputs = np.concatenate([self.previous, targets[:-1]])
            nats[low : low + self.chunk] = cross_entropy(self.stream.feed(inputs), targets)
            self.previous = targets[-1:]
        return nats


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return -log softmax(logits)[target] in nats; logits (..., vocab), targets (...)."""
    top = logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    return total - np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]


def mean_nats(model: Model, parts: Sequence[Part]) -> float:
    """Return the mean cross-entropy in nats a character over parts, each read from its own beginning.

    Where the model forgets at the beginning of documents, each of those is read from its own.
    """
    length = len(parts[0])
    if any(part.resets for part in parts):
        total = sum(_documents_nats(model, part) for part in parts)
    elif all(len(part) == length for part in parts):
        reader = Reader(model, len(parts))
        stretches = (
            np.stack([part.ids(low, low + BLOCK) for part in parts], axis=1) for low in range(0, length, BLOCK)
        )
        total = sum(_sum(reader.nats(ids)) for ids in stretches)
    else:
        total = sum(_running_nats(model, part) for part in parts)
    return total / sum(len(part) for part in parts)


def _running_nats(model: Model, part: Part) -> float:
    reader = Reader(model, 1)
    return sum(_sum(reader.nats(part.ids(low, high)[:, None])) for low, high in part.blocks())


def _documents_nats(model: Model, part: Part) -> float:
    """Return the nats of documents, many of about the same length side by side."""
    total = 0.0
    for group in _groups(part):
        if len(group) == 1:
            total += _running_nats(model, part.cut(*group[0]))
            continue
        # The shorter ones are filled up behind their ends, and what stands there does not count.
        longest = max(high - low for low, high in group)
        ids, counts = np.zeros((longest, len(group)), np.int32), np.zeros((longest, len(group)), bool)
        for column, (low, high) in enumerate(group):
            ids[: high - low, column] = part.ids(low, high)
            counts[: high - low, column] = True
        total += _sum(Reader(model, len(group)).nats(ids)[counts])
    return total


def _groups(part: Part) -> Iterator[list[tuple[int, int]]]:
    """Yield the bounds of documents in groups to be read side by side, each of at most BLOCK characters."""
    waiting: list[tuple[int, int]] = []

    def grouped() -> Iterator[list[tuple[int, int]]]:
        waiting.sort(key=lambda bounds: bounds[1] - bounds[0])
        while waiting:
            size = max(1, min(SIDE_BY_SIDE, BLOCK // (waiting[-1][1] - waiting[-1][0])))
            yield waiting[-size:]
            del waiting[-size:]

    for bounds in _bounds(part):
        waiting.append(bounds)
        if len(waiting) == SORTED:
            yield from grouped()
    yield from grouped()


def _bounds(part: Part) -> Iterator[tuple[int, int]]:
    """Yield where each document begins and ends."""
    begin = 0
    for low, high in part.blocks():
        for place in (low + np.flatnonzero(part.begins(np.arange(low, high)))).tolist():
            if place > begin:
                yield begin, place
                begin = place
    yield begin, len(part)


def _sum(nats: np.ndarray) -> float:
    return float(nats.sum(dtype=np.float64))
