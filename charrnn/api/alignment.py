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
        return {"source": self.source, "target": self.target, "weights": self.weights.astype(float).round(4).tolist()}


def check_attends(model: Model) -> None:
    """Raise CharRNNError if a model has no attention."""
    if model.config.attention is None:
        raise CharRNNError(
            "This model has no attention, so it looks at no characters.",
            hint="Train a model with attention, such as `attention=64`.",
        )


def alignment(model: Model, source: np.ndarray, target: np.ndarray) -> Alignment:
    """Return where a model looks in a source while it reads the target after it, both given as ids (characters,).

    A model that reads from the end reads the target before the source. Without a target it is the source itself.
    """
    from charrnn.inference.alignment import alignments

    check_attends(model)
    backwards = model.text.reverse
    whole = np.concatenate([target, source] if backwards else [source, target])
    order = model.order(whole)
    weights = alignments(model, model.before(whole[:0]), whole[order])[order][:, order]
    place = len(target) if backwards else len(source)
    parts = slice(place), slice(place, None)
    columns, rows = parts[::-1] if backwards else parts
    if not len(target):
        rows = columns = slice(None)
    return Alignment(model.vocab.decode(whole[columns]), model.vocab.decode(whole[rows]), weights[rows, columns])


def of_text(model: Model, ids: np.ndarray) -> Alignment:
    """Return where a model looks while it reads a text, whose source ends with the separator, if it has one."""
    text, separator = model.vocab.decode(ids), model.text.loss_after
    place = 0 if separator is None else text.find(separator) + 1
    return alignment(model, ids[:place], ids[place:]) if 0 < place < len(ids) else alignment(model, ids, ids[:0])
