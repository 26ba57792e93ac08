"""How well a model predicts a text, as one number in several units."""

import math
from dataclasses import dataclass
from typing import Any

from charrnn.data.repeated import Repeated


@dataclass(frozen=True)
class Evaluation:
    """The exact loss over a text, of which `characters` counted; of a model of bytes each is one (`unit` is "byte").

    nats_per_char: the mean cross-entropy in nats; NaN if no character counted.
    bits_per_byte: bits for each byte of the text; NaN where not all of it was predicted.
    repeated: how much of a held-out part also occurs in the training part; None if that is next to nothing, or if
    it was not looked up.
    """

    characters: int
    nats_per_char: float
    bits_per_byte: float = math.nan
    unit: str = "character"
    repeated: Repeated | None = None

    @property
    def bits_per_char(self) -> float:
        """Return the mean cross-entropy in bits a character."""
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        """Return e to the power of the nats a character; infinity where a float ends: a model may be that bad."""
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
