"""A model that was trained with labels, in use: the labels that it gives to texts."""

from collections.abc import Iterable, Sequence

import numpy as np

from charrnn.api.encoding import Encoder
from charrnn.api.given import check_unknown
from charrnn.api.labelling import Labelling, labellings
from charrnn.api.named import lines_of
from charrnn.config import TextConfig
from charrnn.inference.kinds import check_predicts_labels
from charrnn.inference.labelling import probabilities
from charrnn.inference.reading import LineReader


class Labeller:
    """Gives labels to texts, some texts at a time; `labels` are the names of those that it knows."""

    def __init__(self, reader: LineReader):
        self.labels = check_predicts_labels(reader.model)
        self.reader = reader

    def probabilities(self, texts: Sequence[str], first: int = 1) -> np.ndarray:
        """Return the probability of each label for each text (a line without its end), float32 (texts, labels)."""
        return probabilities(self.reader.model, self.reader.read(texts, first))


class Labels(Encoder):
    """The part of `charrnn.Model` that gives labels to texts, if the model was trained with labels."""

    def label(self, lines: Iterable[str], *, unknown: str | None = None) -> list[Labelling]:
        """Return each line with its likeliest label, and the probabilities of all labels. unknown: as in `score`.

        Raise CharRNNError if the model was trained without labels.
        """
        return list(labellings(self.labeller(unknown=unknown), lines_of(lines, self.text.bytes)))

    def labeller(self, text: TextConfig | None = None, *, unknown: str | None = None) -> Labeller:
        """Return a `Labeller`, for some lines at a time; it reads them as `text` says, by default as in training."""
        check_unknown(unknown)
        return Labeller(LineReader(self.network, text or self.read_as(), unknown))
