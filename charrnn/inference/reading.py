"""Lines, each a separate text, as ids in the form in which a model reads them."""

from collections.abc import Sequence

import numpy as np

from charrnn.config import TextConfig
from charrnn.inference.model import Model
from charrnn.text.lines import seen
from charrnn.text.vocabulary import Vocabulary


class LineReader:
    """Turns lines into ids of a model's vocabulary.

    `text` says how lines are read. `unknown` is one of config.UNKNOWN, or None: unknown characters are then replaced by
    the unknown symbol or, if the model has no such symbol, not read.
    """

    def __init__(self, model: Model, text: TextConfig, unknown: str | None = None):
        self.model, self.text, self.unknown = model, text, unknown

    def read(self, lines: Sequence[str], first: int = 1, what: str = "line") -> list[np.ndarray]:
        """Return the ids of each line in the order in which the model reads them.

        Messages number the lines from `first`, and say `what` they are.
        """
        found = [self.ids(seen(line, self.text), f"{what} {number}") for number, line in enumerate(lines, first)]
        known = [ids[ids >= 0] for ids in found]
        return [ids[self.model.order(ids)] for ids in known]

    def ids(self, read: str, where: str) -> np.ndarray:
        """Return the ids of a text in the form that the model reads; -1 for characters that are not read."""
        vocab = self.model.vocab
        table = vocab.table(read)
        return admitted(vocab, table, read, self.unknown, where)[0] if self.unknown or vocab.has_unknown else table


def admitted(
    vocab: Vocabulary, ids: np.ndarray, text: str, policy: str | None, where: str
) -> tuple[np.ndarray, str | None]:
    """Return the ids of a line after the treatment of unknown characters, and a notice about it.

    In `ids`, unknown characters are -1; those that are left out remain -1. `policy` is as in `Vocabulary.admission`.
    Messages say `where` the text is.
    """
    if (ids >= 0).all():
        return ids, None
    column = int((ids < 0).argmax()) + 1
    stand_in, notice = vocab.admission(vocab.unknown(text), policy, where, lambda: f"column {column}")
    return np.where(ids < 0, -1 if stand_in is None else stand_in, ids), notice
