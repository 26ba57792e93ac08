"""`charrnn sample --unique --novel`: which samples are new."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.console import say
from charrnn.cli.reading import read
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.runs.progress import CorpusRecord


class Known:
    """What stands in a text: any stretch of it or, if its lines are documents, texts that are made of its lines."""

    def __init__(self, text: str, by_lines: bool):
        self.text = text
        self.lines = set(text.split("\n")) if by_lines else None

    def __contains__(self, sample: str) -> bool:
        sample = sample.removesuffix("\n")
        return sample in self.text if self.lines is None else self.lines.issuperset(sample.split("\n"))


def known_text(checkpoint: Path, config: TextConfig, sources: Sequence[str]) -> Known:
    """Return what stands in `sources` or, if there are none, in the text that a checkpoint was trained on."""
    if sources:
        return Known(read(sources, config).decode(), config.lines)
    recorded = _recorded(checkpoint)
    try:
        text = read(recorded.sources, config, recorded.include)
    except CharRNNError as error:
        raise CharRNNError(f"--novel needs the training text. {error.message}", _HINT) from None
    if text.sha256 != recorded.sha256:
        say("The training text has changed since: --novel compares with what stands there now.")
    return Known(text.decode(), config.lines)


_HINT = "Name it: --novel-to CORPUS"


def _recorded(checkpoint: Path) -> "CorpusRecord":
    """Return what a checkpoint records of its training text, with the file where a text from stdin was kept."""
    from charrnn.runs.checkpoint import read_header
    from charrnn.runs.folder import Run
    from charrnn.text.sources import STDIN

    progress = read_header(checkpoint).progress
    if progress is None:
        raise CharRNNError(f"{checkpoint} does not say what it was trained on.", _HINT)
    kept = str(Run(checkpoint.parent).stdin)
    corpus = progress.corpus
    return replace(corpus, sources=tuple(kept if source == STDIN else source for source in corpus.sources))
