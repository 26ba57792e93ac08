"""The choice of samples to keep: of the right length, not blank, unlike earlier ones, and not in the training text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.api.generation import Notify
from charrnn.api.recorded import check_ordinary, shown
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError, readable_by
from charrnn.inference.generation import Sample
from charrnn.inference.model import Model
from charrnn.runs.checkpoint import read_header
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord
from charrnn.text.decoding import BYTES
from charrnn.text.reader import Watch, read_text

# Sampling gives up after this many samples in a row that are not kept.
TRIES = 1000
_HINT = "Name a text to compare with: `novel_to`."


class Known:
    """The texts that are not new: all stretches of a text or, with documents inside files, all texts of these alone.

    Upper and lower case make no difference.
    """

    def __init__(self, text: str, config: TextConfig):
        self.of_bytes = config.bytes
        self.text = self._folded(text)
        self.end = self._folded((config.document_end if config.divided else None) or "\n")
        self.documents = set(self.text.split(self.end)) if config.divided else None

    def __contains__(self, sample: str) -> bool:
        sample = self._folded(sample).removesuffix(self.end)
        return sample in self.text if self.documents is None else self.documents.issuperset(sample.split(self.end))

    def _folded(self, text: str) -> str:
        # In a text of bytes each character is one byte, and only the bytes of ASCII are letters.
        return text.encode(BYTES).lower().decode(BYTES) if self.of_bytes else text.casefold()


def known_text(
    checkpoint: Path, config: TextConfig, sources: Sequence[str], watch: Watch | None, notify: Notify
) -> Known:
    """Return the texts that occur in `sources` or, without any, in the training text of a checkpoint."""
    if sources:
        with readable_by("encoding"):
            return Known(read_text(sources, config, watch=watch).decode(), config)
    recorded = _recorded(checkpoint)
    notify(f"Comparing with the training text that the model names: {shown(recorded.sources)}")
    check_ordinary(recorded.sources, recorded.include or (), _HINT)
    try:
        text = read_text(recorded.sources, config, recorded.include or (), watch)
    except CharRNNError as error:
        raise CharRNNError(f"`novel` needs the training text. {error.message}", _HINT) from None
    if text.sha256 != recorded.sha256:
        notify("The training text has changed since training: `novel` compares with the text as it is now.")
    return Known(text.decode(), config)


def _recorded(checkpoint: Path) -> CorpusRecord:
    """Return a checkpoint's record of its training text; a text that could be read only once is found in its run."""
    progress = read_header(checkpoint).progress
    if progress is None:
        raise CharRNNError(f"{checkpoint} does not say what it was trained on.", _HINT)
    return replace(progress.corpus, sources=tuple(Run(checkpoint.parent).found_again(progress.corpus.sources)))


class Wanted:
    """Decides which samples are kept, and remembers them.

    unique: keep each sample only once. known: texts that are not kept. least, most: the allowed number of characters.
    """

    def __init__(self, unique: bool, known: Known | None, least: int | None, most: int | None):
        self.unique, self.known, self.least, self.most = unique, known, least or 0, most
        self.seen: set[str] = set()

    def lacking(self) -> str:
        """Return why samples are not kept, and what may help."""
        length = "did not have the length that `min_length` and `max_length` allow"
        if not (self.unique or self.known is not None):
            return f"{length}."
        new = "were not new"
        if self.least or self.most is not None:
            new += f", or {length}"
        return f"{new}. A higher `temperature` may help."

    def takes(self, begun: str, text: str, end: str = "", before: bool = False) -> bool:
        """Return whether a text that continues `begun`, or is `before` it, is kept; its `end` does not count in it."""
        own = text.removesuffix(end)
        whole, length = own + begun if before else begun + own, len(own)
        if length < self.least or (self.most is not None and length > self.most):
            return False
        if self.unique or self.known is not None:
            # A sample that is empty or blank is not kept. White space alone may still complete what the prime began.
            if not (text or (before and begun)) or not whole.strip(" \t\r\n"):
                return False
            if (self.unique and whole in self.seen) or (self.known is not None and whole in self.known):
                return False
            self.seen.add(whole)
        return True


def kept(
    samples: Iterable[Sample],
    model: Model,
    prime: np.ndarray,
    wanted: Wanted,
    count: int,
    notify: Notify,
    end: str = "",
) -> Iterator[Sample]:
    """Yield the first `count` samples that are wanted; give up after TRIES samples in a row that are not."""
    # Documents that end within the prime are forgotten: they are not part of a sample.
    prime = model.counting(prime)
    begun = model.vocab.decode(prime)
    found = tries = 0
    for sample in samples:
        if wanted.takes(begun, model.vocab.decode(sample.ids), end, model.text.reverse):
            yield sample
            found, tries = found + 1, 0
        else:
            tries += 1
        if found == count:
            return
        if tries == TRIES:
            notify(f"Found {found:,} of {count:,}: {TRIES:,} samples in a row {wanted.lacking()}")
            return
