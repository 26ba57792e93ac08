"""Where a model with attention looked while it wrote or read a text."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.inference.model import Model


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a model looked: for each character of `target`, the weight of each character of `source`.

    weights: float32, (target characters, source characters). A row has the weights of the step that predicted the
    character; what is missing to 1 was given to other characters: those of the target, or before the source. If the
    model's text has a separator (`loss_after`), the source ends with it, and the target follows; otherwise both are the
    whole text.
    """

    source: str
    target: str
    weights: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, the weights rounded to 4 digits."""
        return {"source": self.source, "target": self.target, "weights": self.weights.round(4).tolist()}


def check_attends(model: Model) -> None:
    """Raise CharRNNError if a model has no attention."""
    if model.config.attention is None:
        raise CharRNNError(
            "This model has no attention, so it looks at no characters.",
            hint="Train a model with attention, such as `attention=64`.",
        )


def alignment(model: Model, ids: np.ndarray) -> Alignment:
    """Return where a model looks while it reads a text from its beginning, given as ids (characters,)."""
    from charrnn.inference.alignment import alignments

    check_attends(model)
    text, separator = model.vocab.decode(ids), model.text.loss_after
    (read,) = model.turned(ids)
    weights = alignments(model, model.before(ids[:0]), read)
    # Rows, then columns, in the order of the text.
    for _ in range(2):
        weights = model.turned(read, weights)[1].T
    if separator is None or separator not in text:
        return Alignment(text, text, weights)
    place = text.index(separator) + 1
    return Alignment(text[:place], text[place:], weights[place:, :place])
