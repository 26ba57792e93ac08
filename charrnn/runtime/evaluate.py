"""How well a model predicts a text: the exact loss, the hidden state carried from the first character to the last."""

from collections.abc import Sequence

import numpy as np

from charrnn.runtime.model import Model, Stream

CHUNK = 1024


def score(model: Model, ids: np.ndarray) -> np.ndarray:
    """Return what each character costs in nats, float32 (time, batch), for texts that are read side by side.

    ids: (time, batch). The first character of each text is predicted from the start symbol.
    """
    stream = Stream(model, ids.shape[1])
    nats = np.empty(ids.shape, np.float32)
    previous = np.full((1, ids.shape[1]), model.vocab.start)
    for low in range(0, len(ids), CHUNK):
        targets = ids[low : low + CHUNK]
        inputs = np.concatenate([previous, targets[:-1]])
        nats[low : low + CHUNK] = cross_entropy(stream.feed(inputs), targets)
        previous = targets[-1:]
    return nats


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return -log softmax(logits)[target] in nats; logits (..., vocab), targets (...)."""
    top = logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    return total - np.take_along_axis(logits, targets[..., None].astype(np.int64), axis=-1)[..., 0]


def mean_nats(model: Model, segments: Sequence[np.ndarray]) -> float:
    """Return the mean cross-entropy in nats a character over texts, each read from its own beginning."""
    if len({len(segment) for segment in segments}) == 1:
        groups = [np.stack(segments, axis=1)]
    else:
        groups = [segment[:, None] for segment in segments]
    total = sum(float(score(model, group).sum(dtype=np.float64)) for group in groups)
    return total / sum(len(segment) for segment in segments)
