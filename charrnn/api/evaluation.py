"""How well a model predicts a text, as one number in several units."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.config import TrainConfig
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_header
from charrnn.runs.progress import CorpusRecord
from charrnn.text.text import Text


@dataclass(frozen=True)
class Evaluation:
    """The exact loss over a text, of which `characters` counted; of a model of bytes each is one (`unit` is "byte").

    nats_per_char: the mean cross-entropy in nats; NaN if no character counted.
    bits_per_byte: bits for each byte of the text; NaN where not all of it was predicted.
    """

    characters: int
    nats_per_char: float
    bits_per_byte: float = math.nan
    unit: str = "character"

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
        }


def familiar(checkpoint: Path, text: Text) -> list[str]:
    """Return what a person should know of a text that the model of a checkpoint was trained or validated on."""
    try:
        header = read_header(checkpoint)
    except CharRNNError:
        # The model is at work already; a file that has gone is no reason to stop.
        return []
    corpus = header.progress and header.progress.corpus
    if corpus and text.sha256 == corpus.sha256:
        included = ", its validation part included" if _validates(corpus, header.training) else ""
        return [f"This is the text that the model was trained on{included}: the figure says little about other texts."]
    if corpus and text.sha256 == corpus.val_sha256:
        return [
            "This is the text that the model was validated on: its best checkpoint was chosen by it, and other texts "
            "may cost a little more."
        ]
    return []


def _validates(corpus: CorpusRecord, config: TrainConfig | None) -> bool:
    """Return whether a part of the training text validated."""
    return corpus.val_sources is None and config is not None and (config.val > 0 or config.split == "char-rnn")
