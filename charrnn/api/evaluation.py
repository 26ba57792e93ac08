"""How well a model predicts a text, as one number in several units."""

import math
from dataclasses import dataclass
from typing import Any

from charrnn.data.repeated import Repeated


@dataclass(frozen=True)
class Evaluation:
    """The exact loss of a model over a text.

    characters: how many characters counted; for a model of bytes, how many bytes (its `unit` is "byte"); for a model
    that predicts labels, how many labels (its `unit` is "label").
    nats_per_char: the mean cross-entropy in nats; NaN if no character counted.
    bits_per_byte: bits per byte of the text; NaN if not all of the text was predicted.
    repeated: how much of a held-out part also occurs in the training part; None if almost nothing does, or if
    this was not checked.
    right, most_frequent: of labels, how many are right, and how many have the label that most texts of the part have.
    confusion: how many texts with each label (rows) got each label (columns).
    """

    characters: int
    nats_per_char: float
    bits_per_byte: float = math.nan
    unit: str = "character"
    repeated: Repeated | None = None
    right: int | None = None
    most_frequent: int | None = None
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Return the fraction of the labels that are right; None if characters are predicted, or nothing counted."""
        return None if self.right is None or not self.characters else self.right / self.characters

    @property
    def bits_per_char(self) -> float:
        """Return the mean cross-entropy in bits per character."""
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        """Return e to the power of the nats per character; infinity if that is too large for a float."""
        try:
            return math.exp(self.nats_per_char)
        except OverflowError:
            return math.inf

    def to_json(self) -> dict[str, Any]:
        """Return all numbers by name."""
        return {
            "characters": self.characters,
            "bits_per_char": self.bits_per_char,
            "nats_per_char": self.nats_per_char,
            "perplexity": self.perplexity,
            "bits_per_byte": self.bits_per_byte,
            "unit": self.unit,
            "repeated": self.repeated and self.repeated.to_json(),
            **self.labels_to_json(),
            **({"confusion": [list(row) for row in self.confusion]} if self.confusion else {}),
        }

    def labels_to_json(self) -> dict[str, Any]:
        """Return the numbers about labels by name; {} if characters are predicted."""
        if self.right is None:
            return {}
        return {"right": self.right, "most_frequent": self.most_frequent, "accuracy": self.accuracy}
