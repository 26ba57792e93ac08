"""What may follow a text: the next characters, the likeliest first."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.inference.generation import not_a_number
from charrnn.inference.model import Model
from charrnn.inference.sampling import weights
from charrnn.inference.scoring import Reader


@dataclass(frozen=True)
class Next:
    """A character that may come next, its `id` in the model's vocabulary, and how probable that is, from 0 to 1."""

    character: str
    id: int
    probability: float

    @property
    def bits(self) -> float:
        """Return the bits that the character would cost the model; infinity of one that is impossible."""
        return -math.log2(self.probability) if self.probability else math.inf

    def to_json(self) -> dict[str, Any]:
        """Return what a record says of it."""
        return {"character": self.character, "id": self.id, "probability": self.probability, "bits": self.bits}


def following(model: Model, ids: np.ndarray, top: int | None) -> list[Next]:
    """Return what may follow the ids of a text, (characters,): the `top` likeliest characters, None for all.

    Probabilities are softmax(logits) in float64; all of them add up to 1. Of equals the lowest id comes first.
    """
    before = model.before(ids)
    reader = Reader(model)
    # All but the last character are read at once; what follows the last is asked for.
    reader.nats(before[1:, None])
    logits = reader.stream.step(int(reader.previous[0, 0])).astype(np.float64)
    if not np.isfinite(logits).all():
        raise not_a_number()
    probabilities = weights(logits, temperature=1.0)
    probabilities /= probabilities.sum()
    order = (-probabilities).argsort(kind="stable")[:top].tolist()
    return [Next(model.vocab.decode([id]), id, float(probabilities[id])) for id in order]
