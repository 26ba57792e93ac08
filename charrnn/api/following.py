"""The characters that may follow a text, the likeliest first."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.inference.generation import not_a_number
from charrnn.inference.kinds import check_predicts_characters
from charrnn.inference.model import Model
from charrnn.inference.sampling import weights
from charrnn.inference.scoring import Reader


@dataclass(frozen=True)
class Next:
    """A character that may come next, its `id` in the model's vocabulary, and its probability, from 0 to 1."""

    character: str
    id: int
    probability: float

    @property
    def bits(self) -> float:
        """Return how many bits the character would cost the model; infinity if it is impossible."""
        return -math.log2(self.probability) if self.probability else math.inf

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {"character": self.character, "id": self.id, "probability": self.probability, "bits": self.bits}


def following(model: Model, ids: np.ndarray, top: int | None) -> list[Next]:
    """Return the `top` likeliest characters after a text, given as ids (characters,); None for all characters.

    Probabilities are softmax(logits) in float64; all of them add up to 1. Equal ones are in the order of their ids.
    """
    check_predicts_characters(model)
    before = model.before(ids)
    reader = Reader(model)
    # All characters but the last are read at once. The step with the last one gives the logits.
    reader.nats(before[1:, None])
    logits = reader.stream.step(int(reader.previous[0, 0])).astype(np.float64)
    if not np.isfinite(logits).all():
        raise not_a_number()
    probabilities = weights(logits, temperature=1.0)
    probabilities /= probabilities.sum()
    order = (-probabilities).argsort(kind="stable")[:top].tolist()
    return [Next(model.vocab.decode([id]), id, float(probabilities[id])) for id in order]
