"""A trained model that reads and predicts text: loaded from a checkpoint, and run with NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.cores import usable_cores
from charrnn.engines import NUMPY, WEIGHTS
from charrnn.inference import ops
from charrnn.inference.ends import End, turned_ids
from charrnn.network.forward import input_table
from charrnn.network.parameters import check_weights, parameters
from charrnn.network.units import Unit
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.inference.compiled import Compiled

BYTES_PER_THREAD = 2 << 20


def read_by(text: TextConfig, vocab: Vocabulary) -> TextConfig:
    """Return how a model reads other texts: in the same way as its training text (`text`), but in UTF-8.

    If training read a field of records, or labels, the model still reads plain text. A model that has never seen a
    carriage return reads CR and CRLF as line breaks.
    """
    newlines = text.newlines if "\r" in vocab.symbols else "lf"
    return replace(text, encoding=DEFAULT_TEXT.encoding, field=None, newlines=newlines, labels=False, label_field=None)


class Model:
    """A network, its vocabulary, and how it reads text; weights as in `parameter_shapes`, float32 or float64.

    `val_nats` is its validation loss in nats per character, None if that is not known.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocabulary,
        weights: Mapping[str, np.ndarray],
        text: TextConfig = DEFAULT_TEXT,
        val_nats: float | None = None,
        step: int | None = None,
        digest: str = "",
    ):
        self.config = config
        self.vocab = vocab
        self.text = text
        self.val_nats = val_nats
        # The number of training steps, and the SHA-256 of the file's header and weights; None and "" if not known.
        self.step, self.digest = step, digest
        self.weights = dict(weights)
        # One of `engines.OF_USE` and one of WEIGHTS: who computes, and how the matrices of products are stored.
        self.engine, self.form = NUMPY, WEIGHTS[0]
        # Units, and the value at which each is held (`charrnn.inference.holding`).
        self.held: Mapping[Unit, float] = {}
        # Is called with a message for the user.
        self.notify: Callable[[str], None] = lambda notice: None
        self.table = input_table(ops, config, self.weights)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Read a checkpoint; CharRNNError if it is damaged or does not fit its own model."""
        checkpoint = read_checkpoint(path)
        check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
        val_nats = None if checkpoint.progress is None else checkpoint.progress.best_nats
        facts = (checkpoint.model, checkpoint.vocab, checkpoint.weights, checkpoint.text)
        return cls(*facts, val_nats, checkpoint.step, checkpoint.digest)

    @property
    def outputs(self) -> int:
        """Return how many logits the model has: one for each character or, if it predicts labels, for each label."""
        return self.config.outputs(self.vocab.size)

    @property
    def reads(self) -> TextConfig:
        """Return how the model reads a text (`read_by`)."""
        return read_by(self.text, self.vocab)

    def before(self, prime: np.ndarray) -> np.ndarray:
        """Return the ids to read before a text that follows the ids `prime`: the start symbol, and what counts of them.

        If the model forgets at the ends of documents, only the part after the last end counts. Other models read a line
        break if the prime is empty: for them, the start symbol is where training happened to begin, which can be
        anywhere in a text. A model that reads from the end writes what is before the prime.
        """
        prime = self.counting(prime)
        if self.text.reverse:
            prime = prime[::-1]
        if self.end is None and not len(prime) and not self.text.resets and self._knows_lines:
            prime = self.vocab.encode("\n")
        return np.concatenate([[self.vocab.start], prime]).astype(np.int64)

    def counting(self, prime: np.ndarray) -> np.ndarray:
        """Return the ids of a prime that count: if the model forgets documents, those of the one that it writes."""
        if self.end is None:
            return prime
        if self.text.reverse:
            # It writes what is before them.
            places = self.end.places(prime)
            return prime[: places[0] - len(self.end)] if places else prime
        return self.end.begun(prime)

    def order(self, ids: np.ndarray) -> np.ndarray | slice:
        """Return the places of a document's ids in the order in which the model reads them.

        A model that reads from the end still reads what ends a document, or a line, last. The same places bring what
        was read back into the order of the document.
        """
        return turned_ids(np.arange(len(ids)), self.ends_with(ids)) if self.text.reverse else slice(None)

    def written_order(self, ids: np.ndarray, ended: bool, before_prime: bool) -> np.ndarray:
        """Return the places of ids that the model wrote, maybe several documents, in the order in which people read.

        A model that reads from the end has written the last document first, from its end to its beginning, and what
        ends a document after it: that comes between two documents, or after the last one. There it is left out if the
        text is followed by a prime, `before_prime`. If the model does not forget documents, only a line break at which
        the text `ended` is an end.
        """
        places, length = np.arange(len(ids)), len(self.end_ids)
        if not self.text.reverse:
            return places
        if self.end is not None:
            ends = [place - length for place in self.end.places(ids)]
        else:
            ends = [len(ids) - length] if ended and self.ends_with(ids) else []
        pieces: list[np.ndarray] = []
        low = 0
        for end in ends:
            pieces += [places[low:end][::-1], places[end : end + length]]
            low = end + length
        pieces.append(places[low:][::-1])
        if ends and low == len(ids):
            last = pieces[-2]
            pieces[-2:] = []
            pieces[:0] = [] if before_prime else [last]
        return np.concatenate(pieces[::-1])

    @cached_property
    def end_ids(self) -> np.ndarray:
        """Return what ends a document or, if the model does not forget documents, a line; empty if nothing does."""
        if self.end is not None:
            return np.array(self.end.ids, np.int32)
        return self.vocab.encode("\n" if self._knows_lines else "")

    def ends_with(self, ids: np.ndarray) -> int:
        """Return how many ids at the end of a text are `end_ids`: all or none."""
        end = self.end_ids
        return len(end) if len(end) and np.array_equal(ids[-len(end) :], end) else 0

    @property
    def _knows_lines(self) -> bool:
        return "\n" in self.vocab.symbols

    @cached_property
    def end(self) -> End | None:
        """Return the end of documents if the model forgets everything after it, else None."""
        return self.document_end if self.text.resets else None

    @cached_property
    def document_end(self) -> End | None:
        """Return the end of documents, None if they have no end that the model knows."""
        end = self.text.document_end
        ids = [] if end is None else self.vocab.table(end).tolist()
        return End(ids, self.vocab.size + 1) if ids and min(ids) >= 0 else None

    def store_as(self, form: str) -> None:
        """Round the matrices of products to a form of weights (`charrnn.compiled.forms`)."""
        from charrnn.compiled.forms import rounded

        self.form = form
        for parameter in parameters(self.config, self.vocab.size):
            if len(parameter.shape) == 2 and not parameter.in_input_table:
                self.weights[parameter.name] = rounded(self.weights[parameter.name], form)

    @cached_property
    def compiled(self) -> "Compiled":
        """Return the model as compiled code; nothing is compiled before it is needed."""
        from charrnn.inference.compiled import Compiled

        return Compiled(self)

    def limit_threads(self) -> None:
        """Limit BLAS to one thread per 2 MB of the largest matrix of a product, at least one, at most one per core.

        The cache of a core has about this size. A matrix that fits one core's cache gains nothing from more threads.
        """
        table = parameters(self.config, self.vocab.size)
        largest = max(self.weights[parameter.name].nbytes for parameter in table if not parameter.looked_up)
        threads = max(1, min(usable_cores(), largest // BYTES_PER_THREAD))
        # BLAS uses every core by default, and this import takes as long as reading a model.
        if threads < usable_cores():
            from threadpoolctl import ThreadpoolController

            ThreadpoolController().limit(limits=threads, user_api="blas")
