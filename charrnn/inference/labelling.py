"""The labels that a classifier gives to texts: the mean of its logits after each character."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.data.parts import Part
from charrnn.inference import ops
from charrnn.inference.attention import texts_at_once
from charrnn.inference.model import Model
from charrnn.inference.scoring import SIDE_BY_SIDE, groups, padded, portions
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards


def probabilities(model: Model, texts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the probability of each label for each text, float32 (texts, labels).

    texts: ids, in the order in which the model reads them. What training pools are the logits after the start symbol
    and after each character.
    """
    result = np.empty((len(texts), model.outputs), np.float32)
    read = [np.concatenate([[model.vocab.start], text]) for text in texts]
    for group in groups([len(text) for text in read], texts_at_once(model.config, SIDE_BY_SIDE)):
        lengths = np.array([len(read[place]) for place in group])
        means = _means(model, padded(read, group), lengths)
        result[group] = ops.softmax(means, -1)
    return result


def _means(model: Model, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the mean logits of texts that are read in parallel, float64 (texts, labels); the longest come last."""
    total = np.zeros((len(lengths), model.outputs))

    def read(stream: Stream, rows: slice) -> None:
        own, ends = total[rows], lengths[rows]
        over = np.searchsorted(ends, np.arange(len(ids)), side="right")
        for t, now in enumerate(ids[: ends[-1], rows]):
            live = slice(over[t], None)
            own[live] += np.reshape(stream.step(now), own.shape)[live]

    with Shards(model, len(lengths)) as shards:
        shards.expect(len(ids))
        shards.each(read)
    return total / lengths[:, None]


class Judged(NamedTuple):
    """Labelled documents: their true labels, by number, and the probabilities that the model gives to each label."""

    true: np.ndarray
    given: np.ndarray


def judge(model: Model, part: Part) -> Iterator[Judged]:
    """Yield the documents of a part that end with a label, some at a time, with what the model says of them."""
    for low, bounds in portions(part):
        ends = np.array(bounds) - 1
        whole = part.counts(ends)
        texts = np.split(part.ids(low, bounds[-1]), [bound - low for bound in bounds[:-1]])
        read = [text[:-1] for text, is_whole in zip(texts, whole, strict=True) if is_whole]
        if read:
            ordered = [text[::-1] if model.text.reverse else text for text in read]
            yield Judged(part.targets(ends[whole]), probabilities(model, ordered))


def figures(model: Model, parts: Sequence[Part]) -> tuple[np.ndarray, float]:
    """Return how often each label was given to the documents of each, and the mean loss in nats per label.

    The counts are (labels, labels): true ones, and given ones. The loss is NaN if there is no document.
    """
    confusion, nats = np.zeros((model.outputs, model.outputs), np.int64), 0.0
    for part in parts:
        for true, given in judge(model, part):
            np.add.at(confusion, (true, given.argmax(axis=1)), 1)
            likely = given[np.arange(len(true)), true]
            nats -= float(np.log(np.maximum(likely, np.finfo(np.float32).tiny)).sum(dtype=np.float64))
    count = int(confusion.sum())
    return confusion, nats / count if count else float("nan")
