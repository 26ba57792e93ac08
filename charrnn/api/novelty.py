"""Which samples are kept: those of a length, not blank, unlike those before them, and not in the training text."""

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

# Samples in a row that are not kept, before nothing else is to be expected.
TRIES = 1000
_HINT = "Name a text to compare with: `novel_to`."


class Known:
    """What occurs in a text: any stretch of it or, where documents are parts of files, texts that are made of those.

    Case makes no difference.
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
        # Of bytes, each of which is a character here, only those of ASCII are letters.
        return text.encode(BYTES).lower().decode(BYTES) if self.of_bytes else text.casefold()


def known_text(
    checkpoint: Path, config: TextConfig, sources: Sequence[str], watch: Watch | None, notify: Notify
) -> Known:
    """Return what occurs in `sources` or, if there are none, in the text that a checkpoint was trained on."""
    if sources:
        with readable_by("encoding"):
            return Known(read_text(sources, config, watch=watch).decode(), config)
    recorded = _recorded(checkpoint)
    notify(f"Comparing with the text that the model names: {shown(recorded.sources)}")
    check_ordinary(recorded.sources, recorded.include or (), _HINT)
    try:
        text = read_text(recorded.sources, config, recorded.include or (), watch)
    except CharRNNError as error:
        raise CharRNNError(f"`novel` needs the training text. {error.message}", _HINT) from None
    if text.sha256 != recorded.sha256:
        notify("The training text has changed since: `novel` compares with what is there now.")
    return Known(text.decode(), config)


def _recorded(checkpoint: Path) -> CorpusRecord:
    """Return what a checkpoint records of its training text, with the files where texts that came once were kept."""
    progress = read_header(checkpoint).progress
    if progress is None:
        raise CharRNNError(f"{checkpoint} does not say what it was trained on.", _HINT)
    return replace(progress.corpus, sources=tuple(Run(checkpoint.parent).found_again(progress.corpus.sources)))


class Wanted:
    """Tells which samples are kept, and remembers them: with `unique` none twice, none that is `known`, of a length."""

    def __init__(self, unique: bool, known: Known | None, least: int | None, most: int | None):
        self.unique, self.known, self.least, self.most = unique, known, least or 0, most
        self.seen: set[str] = set()

    def lacking(self) -> str:
        """Return what is wrong with those that are not kept, and what may help."""
        length = "had another length than `min_length` and `max_length` allow"
        if not (self.unique or self.known is not None):
            return f"{length}."
        new = "were not new"
        if self.least or self.most is not None:
            new += f", or {length}"
        return f"{new}. A higher `temperature` may help."

    def takes(self, begun: str, text: str, end: str = "") -> bool:
        """Return whether a text that goes on from `begun` is kept; a line break, or its `end`, does not count."""
        length = len(text.removesuffix(end or "\n"))
        if length < self.least or (self.most is not None and length > self.most):
            return False
        if self.unique or self.known is not None:
            # Nothing was said, or white space alone; that may still end what the prime began.
            if not text or not (begun + text).strip(" \t\r\n"):
                return False
            if (self.unique and begun + text in self.seen) or (self.known is not None and begun + text in self.known):
                return False
            self.seen.add(begun + text)
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
    """Yield the first `count` samples that are wanted; give up where none comes for long."""
    if model.end is not None:
        # Documents of the prime that have ended are forgotten, and no part of what is new.
        prime = model.before(prime)[1:]
    begun = model.vocab.decode(prime)
    found = tries = 0
    for sample in samples:
        if wanted.takes(begun, model.vocab.decode(sample.ids), end):
            yield sample
            found, tries = found + 1, 0
        else:
            tries += 1
        if found == count:
            return
        if tries == TRIES:
            notify(f"Found {found:,} of {count:,}: {TRIES:,} samples in a row {wanted.lacking()}")
            return
