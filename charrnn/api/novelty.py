"""Which samples are new: not blank, unlike those before them, and not in the training text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from charrnn.text.reader import Watch, read_text

# Samples in a row that are not new, before there is nothing new to be expected.
TRIES = 1000
_HINT = "Name a text to compare with: `novel_to`."


class Known:
    """What occurs in a text: any stretch of it or, if its lines are documents, texts that are made of its lines."""

    def __init__(self, text: str, by_lines: bool):
        self.text = text
        self.lines = set(text.split("\n")) if by_lines else None

    def __contains__(self, sample: str) -> bool:
        sample = sample.removesuffix("\n")
        return sample in self.text if self.lines is None else self.lines.issuperset(sample.split("\n"))


def known_text(
    checkpoint: Path, config: TextConfig, sources: Sequence[str], watch: Watch | None, notify: Notify
) -> Known:
    """Return what occurs in `sources` or, if there are none, in the text that a checkpoint was trained on."""
    if sources:
        with readable_by("encoding"):
            return Known(read_text(sources, config, watch=watch).decode(), config.lines)
    recorded = _recorded(checkpoint)
    notify(f"Comparing with the text that the model names: {shown(recorded.sources)}")
    check_ordinary(recorded.sources, recorded.include or (), _HINT)
    try:
        text = read_text(recorded.sources, config, recorded.include or (), watch)
    except CharRNNError as error:
        raise CharRNNError(f"`novel` needs the training text. {error.message}", _HINT) from None
    if text.sha256 != recorded.sha256:
        notify("The training text has changed since: `novel` compares with what is there now.")
    return Known(text.decode(), config.lines)


def _recorded(checkpoint: Path) -> CorpusRecord:
    """Return what a checkpoint records of its training text, with the files where texts that came once were kept."""
    progress = read_header(checkpoint).progress
    if progress is None:
        raise CharRNNError(f"{checkpoint} does not say what it was trained on.", _HINT)
    return replace(progress.corpus, sources=tuple(Run(checkpoint.parent).found_again(progress.corpus.sources)))


def new_samples(
    samples: Iterable[Sample],
    model: Model,
    prime: np.ndarray,
    unique: bool,
    known: Known | None,
    count: int,
    notify: Notify,
) -> Iterator[Sample]:
    """Yield the first `count` samples that are new; give up where none comes for long."""
    if model.end is not None:
        # Documents of the prime that have ended are forgotten, and no part of what is new.
        prime = model.before(prime)[1:]
    is_new = _newness(model.vocab.decode(prime), unique, known)
    found = tries = 0
    for sample in samples:
        if is_new(model.vocab.decode(sample.ids)):
            yield sample
            found, tries = found + 1, 0
        else:
            tries += 1
        if found == count:
            return
        if tries == TRIES:
            notify(
                f"Found {found:,} of {count:,}: {TRIES:,} samples in a row were not new. "
                "A higher `temperature` may help."
            )
            return


def _newness(begun: str, unique: bool, known: Known | None) -> Callable[[str], bool]:
    """Return what tells whether a text that goes on from `begun` is new and not blank, and remembers those that are."""
    seen: set[str] = set()

    def is_new(text: str) -> bool:
        # Nothing was said, or white space alone; that may still end what the prime began.
        if (
            not text
            or not (begun + text).strip(" \t\r\n")
            or (unique and text in seen)
            or (known is not None and begun + text in known)
        ):
            return False
        seen.add(text)
        return True

    return is_new
