"""How well a model predicts a text, as one number in several units."""

import math
from dataclasses import dataclass
from typing import Any

from charrnn.data.repeated import Repeated


@dataclass(frozen=True)
class Evaluation:
    """The exact loss of a model over a text.

    characters: how many characters counted; for a model of bytes, how many bytes (its `unit` is "byte").
    nats_per_char: the mean cross-entropy in nats; NaN if no character counted.
    bits_per_byte: bits per byte of the text; NaN if not all of the text was predicted.
    repeated: how much of a held-out part also occurs in the training part; None if almost nothing does, or if
    this was not checked.
    """

    characters: int
    nats_per_char: float
    bits_per_byte: float = math.nan
    unit: str = "character"
    repeated: Repeated | None = None

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
        }
