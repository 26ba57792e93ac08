"""The cost in nats of each character of a text: for one text, for many in parallel, and for the documents of a text."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from charrnn.data.parts import BLOCK, Part
from charrnn.inference.attention import texts_at_once
from charrnn.inference.model import Model
from charrnn.inference.sampling import cross_entropy
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards

# At most CHUNK characters are read at once, and fewer if their logits would be more than LOGITS numbers.
CHUNK = 1024
LOGITS = 1 << 23
# How many texts of similar length are read in parallel, and among how many texts similar lengths are searched for.
SIDE_BY_SIDE = 512
SORTED = 8192


class Stretch(NamedTuple):
    """The costs of the characters of a text from `low` up to `high`, in nats, float32 (characters,)."""

    low: int
    high: int
    nats: np.ndarray


class Reader:
    """Reads `batch` texts in parallel from their beginnings, a piece at a time."""

    def __init__(self, model: Model, batch: int = 1):
        self.model, self.stream = model, Stream(model, batch)
        # After how many steps compiled code takes over.
        self.patience = model.compiled.patience(batch) if model.compiled.reads(batch) else None
        self.previous = np.full((1, batch), model.vocab.start)
        self.chunk = max(16, min(CHUNK, LOGITS // (batch * model.vocab.size)))

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """Return the cost of each of the next characters in nats, float32 (time, batch), the shape of `ids`."""
        nats = np.empty(ids.shape, np.float32)
        for low, logits in self.logits(ids):
            targets = ids[low : low + len(logits)]
            nats[low : low + len(logits)] = cross_entropy(logits, targets)
        return nats

    def logits(self, ids: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the logits of the next characters, some (time, batch, vocab) at a time, with where each piece begins.

        ids: the characters, (time, batch); all must be asked for.
        """
        for low in range(0, len(ids), self.chunk):
            targets = ids[low : low + self.chunk]
            if self.patience is not None and self.patience <= 0:
                self.stream, self.patience = self.model.compiled.faster(self.stream), None
            self.patience = None if self.patience is None else self.patience - len(targets)
            inputs = np.concatenate([self.previous, targets[:-1]])
            yield low, self.stream.feed(inputs)
            self.previous = targets[-1:]


def begin(model: Model, before: np.ndarray) -> Reader:
    """Return a reader that has read the ids `before`, the first of which is the start symbol."""
    begun = Reader(model)
    if len(before) > 1:
        begun.nats(before[1:, None])
    return begun


def score(model: Model, before: np.ndarray, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the cost in nats of each character of each text, float32, where each text follows the ids `before`."""
    return score_after(begin(model, before), texts)


def score_after(begun: Reader, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the cost in nats of each character of each text, float32, each after the ids that `begun` read.

    Texts of similar length are read in parallel. A single text gives the same numbers, except for rounding.
    """
    model = begun.stream.model
    nats = [np.zeros(0, np.float32)] * len(texts)
    for group in groups([len(text) for text in texts], texts_at_once(model.config, SIDE_BY_SIDE)):
        if len(group) == 1:
            alone = Reader(model)
            alone.stream.copy(begun.stream)
            alone.previous = begun.previous
            nats[group[0]] = alone.nats(texts[group[0]][:, None])[:, 0]
            continue
        together = _side_by_side(model, begun, padded(texts, group))
        for column, text in enumerate(group):
            nats[text] = together[: len(texts[text]), column].copy()
    return nats


def padded(texts: Sequence[np.ndarray], group: Sequence[int]) -> np.ndarray:
    """Return some of the texts side by side, int64 (time, texts): shorter ones are padded after their ends."""
    ids = np.zeros((len(texts[group[-1]]), len(group)), np.int64)
    for column, text in enumerate(group):
        ids[: len(texts[text]), column] = texts[text]
    return ids


def groups(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield groups of at most `most` places of texts to read in parallel, the longest last, without empty texts."""
    waiting = sorted((place for place, length in enumerate(lengths) if length), key=lambda place: lengths[place])
    while waiting:
        size = max(1, min(most, BLOCK // lengths[waiting[-1]]))
        yield waiting[-size:]
        del waiting[-size:]


def _side_by_side(model: Model, begun: Reader, targets: np.ndarray) -> np.ndarray:
    """Return the nats of targets, (time, batch), after the ids that `begun` has read."""
    nats = np.empty(targets.shape, np.float32)

    def read(stream: Stream, rows: slice) -> None:
        stream.copy(begun.stream)
        inputs = np.repeat(begun.previous[0], stream.batch)
        for t, now in enumerate(targets[:, rows]):
            nats[t, rows] = cross_entropy(stream.step(inputs), now)
            inputs = now

    with Shards(model, targets.shape[1]) as shards:
        shards.expect(len(targets))
        shards.each(read)
    return nats


def score_part(model: Model, part: Part) -> Iterator[Stretch]:
    """Yield the costs of the characters of a part, in order, read from the beginning of the part.

    If the model forgets at the beginning of documents, each document is read from its beginning, many in parallel.
    Otherwise a model that reads from the end yields the last stretch first.
    """
    if not part.resets:
        reader, backwards = Reader(model), model.text.reverse
        for low, high in list(part.blocks())[:: -1 if backwards else 1]:
            ids = part.ids(low, high)
            nats = reader.nats((ids[::-1] if backwards else ids)[:, None])[:, 0]
            yield Stretch(low, high, nats[::-1] if backwards else nats)
        return
    start = np.array([model.vocab.start])
    for low, bounds in portions(part):
        if len(bounds) == 1 and bounds[0] - low > BLOCK and not model.text.reverse:
            for stretch in score_part(model, replace(part.cut(low, bounds[0]), resets=False)):
                yield Stretch(low + stretch.low, low + stretch.high, stretch.nats)
            continue
        documents = np.split(part.ids(low, bounds[-1]), [bound - low for bound in bounds[:-1]])
        orders = [model.order(document) for document in documents]
        costs = score(model, start, [ids[order] for ids, order in zip(documents, orders, strict=True)])
        in_order = [nats[order] for nats, order in zip(costs, orders, strict=True)]
        yield Stretch(low, bounds[-1], np.concatenate(in_order))


def portions(part: Part) -> Iterator[tuple[int, list[int]]]:
    """Yield groups of documents to read together: where the group begins, and where each document ends."""
    begin = 0
    ends: list[int] = []
    for end in _ends(part):
        if ends and (len(ends) == SORTED or end - begin > BLOCK):
            yield begin, ends
            begin, ends = ends[-1], []
        ends.append(end)
    yield begin, ends


def _ends(part: Part) -> Iterator[int]:
    """Yield where each document ends."""
    for low, high in part.blocks():
        places = low + np.flatnonzero(part.begins(np.arange(low, high)))
        yield from places[places > 0].tolist()
    yield len(part)
