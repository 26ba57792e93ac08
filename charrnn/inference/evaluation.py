"""How well a model predicts a text: the loss over all of it, with the hidden state carried through the whole text."""

import math
from collections.abc import Sequence

import numpy as np

from charrnn.data.parts import BLOCK, Part
from charrnn.inference.model import Model
from charrnn.inference.scoring import Reader, score_part


def mean_nats(model: Model, parts: Sequence[Part]) -> float:
    """Return the mean cross-entropy in nats per character over parts, each read from its beginning.

    If the model forgets at the beginning of documents, each document is read from its beginning. Characters that do not
    count in the loss are only read. The mean is NaN if no character counts.
    """
    length = len(parts[0])
    together = len(parts) > 1 and all(len(part) == length and not part.resets for part in parts)
    if together and not model.text.reverse:
        reader = Reader(model, len(parts))
        stretches = (
            np.stack([part.ids(low, low + BLOCK) for part in parts], axis=1) for low in range(0, length, BLOCK)
        )
        total = sum(_sum(reader.nats(ids)) for ids in stretches)
    else:
        total = sum(
            _sum(nats[part.counts(np.arange(low, high))])
            for part in parts
            for low, high, nats in score_part(model, part)
        )
    counted = sum(part.counted() for part in parts)
    return total / counted if counted else math.nan


def _sum(nats: np.ndarray) -> float:
    return float(nats.sum(dtype=np.float64))
