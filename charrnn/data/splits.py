"""The training, validation and test parts of a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from charrnn.config import CHAR_RNN_VAL, TrainConfig
from charrnn.data.documents import split_documents
from charrnn.data.parts import BLOCK, Part
from charrnn.data.turned import turned
from charrnn.errors import CharRNNError
from charrnn.text import cache


@dataclass(frozen=True, eq=False)
class Split:
    """The parts for training, for validation during training, and for a test at its end; each is contiguous."""

    train: Part
    val: tuple[Part, ...] = ()
    test: tuple[Part, ...] = ()

    def turned(self, end: Sequence[int]) -> "Split":
        """Return the parts for training and validation as a model reads them that reads from the end (`turned`)."""
        return Split(turned(self.train, end), tuple(turned(part, end) for part in self.val))


def split(whole: Part, config: TrainConfig) -> Split:
    """Return the training, validation and test parts of a text.

    "tail": the last share `test` tests and the share `val` before it validates. "documents": whole documents, chosen at
    random by `seed`. "char-rnn": as karpathy/char-rnn, the text is cut into `batch` equal streams (the remainder is
    dropped) and the last 5 % of each validates, whatever `val` says; its training part is the rest of each in turn.
    """
    # In floats 10 * (1 - 0.9) is below 1; the decimal numbers that the user wrote are meant.
    val, test = Fraction(str(config.val)), Fraction(str(config.test))
    if config.split == "tail":
        parts = _tail(whole, val, test)
    elif config.split == "documents":
        parts = Split(*split_documents(whole, val, test, config.seed))
    else:
        parts = _char_rnn(whole, config.batch)
    if not len(parts.train):
        raise CharRNNError(
            f"The text has {len(whole):,} characters: too few for a training part beside the validation part.",
            hint="Use a longer text, or `split='tail'` with a smaller `val` (0 for none).",
        )
    return parts


def _tail(whole: Part, val: Fraction, test: Fraction) -> Split:
    n = len(whole)
    first, second = (_document_begin(whole, int(n * share)) for share in (1 - val - test, 1 - test))
    return Split(
        whole.cut(0, first),
        (whole.cut(first, second),) if first < second else (),
        (whole.cut(second, n),) if second < n else (),
    )


def _document_begin(whole: Part, place: int) -> int:
    """Return the place itself or, where documents are parts of files, the next beginning of one if it is near.

    Where documents have labels, the place is always the beginning of one.
    """
    if (whole.line_end is None and not whole.inner) or not 0 < place < len(whole):
        return place
    near = np.arange(place, min(place + BLOCK, len(whole)))
    begins = whole.begins(near)
    if not begins.any() and whole.classes is not None and whole.starts is not None:
        # Half of a document has no label.
        return int(whole.starts[np.searchsorted(whole.starts, place) - 1])
    return int(near[begins.argmax()]) if begins.any() else place


def _char_rnn(whole: Part, batch: int) -> Split:
    if whole.resets and whole.line_end is None:
        raise CharRNNError(
            "`split='char-rnn'` does not work with documents.", hint="Use `split='tail'` or `split='documents'`."
        )
    length = len(whole) // batch
    cut = length * round(100 * (1 - CHAR_RNN_VAL)) // 100
    streams = whole.codes[: batch * length].reshape(batch, length)
    train = replace(whole, codes=cache.collect((stream[:cut] for stream in streams), whole.codes.dtype), starts=None)
    val = tuple(replace(whole, codes=stream[cut:], starts=None) for stream in streams)
    return Split(train, val if cut < length else ())
