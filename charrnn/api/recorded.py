"""The text that a checkpoint names; it may come from a stranger, so only regular files are opened, and are named."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from charrnn.api.generation import Notify
from charrnn.config import TrainConfig
from charrnn.data.corpus import Dataset, dataset
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_header
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord
from charrnn.text.reader import Watch, read_text
from charrnn.text.sources import documents
from charrnn.text.text import Text

# How many sources a notice names.
_SHOWN = 5
_HINT = "Put the old text back, or evaluate another one: charrnn eval RUN TEXT."


def shown(sources: Sequence[str]) -> str:
    """Return sources as a notice names them."""
    more = f" and {len(sources) - _SHOWN:,} more" if len(sources) > _SHOWN else ""
    return ", ".join(sources[:_SHOWN]) + more


def check_ordinary(sources: Sequence[str], include: Sequence[str], hint: str, what: str = "checkpoint") -> None:
    """Raise CharRNNError, with this hint, unless the sources that a checkpoint (`what`) names lead to regular files.

    They may be files, folders and patterns, but not devices, FIFOs or sockets: reading one of these may never end.
    """
    for source in sources:
        try:
            found = documents(source, include)
            if not found:
                raise CharRNNError(f"The {what} names {source} as its text, but there is no regular file.")
            odd = [document.name for document in found if not _is_ordinary(document.path)]
        except FileNotFoundError as error:
            raise CharRNNError(f"The {what} names {error.filename} as its text, but it does not exist.", hint) from None
        except CharRNNError as error:
            raise CharRNNError(error.message, hint) from None
        except ValueError:
            # The name has a NUL, or cannot be the name of a file for another reason.
            odd = [source]
        if odd:
            raise CharRNNError(f"The {what} names {odd[0]:.200} as its text, but that is not a regular file.", hint)


def _is_ordinary(path: Path | None) -> bool:
    try:
        return path is not None and stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        raise
    except OSError:
        # The function that reads the file raises the error.
        return True


def recorded_data(checkpoint: Path, watch: Watch | None, notify: Notify) -> Dataset:
    """Return the text that a checkpoint was trained on, in its parts; raise CharRNNError if it has changed."""
    header = read_header(checkpoint)
    if header.training is None or header.progress is None:
        raise CharRNNError(f"{checkpoint} does not say what it was trained on.", hint="Evaluate your own text.")
    recorded = _newest(checkpoint, header.progress.corpus)
    held = [(Run(checkpoint.parent).found_again(recorded.sources), recorded.sha256)]
    if recorded.val_sources is not None and recorded.val_sha256 is not None:
        held.append((list(recorded.val_sources), recorded.val_sha256))
    texts = []
    for sources, sha256 in held:
        notify(f"Reading the text that the run names: {shown(sources)}")
        check_ordinary(sources, recorded.include or (), _HINT)
        try:
            text = read_text(sources, header.text, recorded.include or (), watch)
        except CharRNNError as error:
            raise CharRNNError(f"The text of the run is needed. {error.message}", _HINT) from None
        if text.sha256 != sha256:
            raise CharRNNError(
                f"{', '.join(sources)} has changed since the run began: its SHA-256 is {text.sha256}, it was {sha256}.",
                _HINT,
            )
        texts.append(text)
    other = texts[1] if texts[1:] else None
    return dataset(texts[0], header.vocab, header.training, other, classes=header.model.classes)


def _newest(checkpoint: Path, recorded: CorpusRecord) -> CorpusRecord:
    """Return the record of the text that a run is trained on now; its best checkpoint may be of an earlier text."""
    run = Run(checkpoint.parent)
    newest = run.newest() if checkpoint == run.best else None
    with suppress(CharRNNError):
        progress = None if newest is None else read_header(newest).progress
        return recorded if progress is None else progress.corpus
    return recorded


def familiar(checkpoint: Path, text: Text) -> list[str]:
    """Return a notice if the model of a checkpoint was trained or validated on this text."""
    try:
        header = read_header(checkpoint)
    except CharRNNError:
        # The model is already loaded, so it can be used even if its file is gone.
        return []
    corpus = header.progress and header.progress.corpus
    if corpus and text.sha256 == corpus.sha256:
        included = ", its validation part included" if _validates(corpus, header.training) else ""
        return [f"This is the text that the model was trained on{included}: the loss on other texts will be higher."]
    if corpus and text.sha256 == corpus.val_sha256:
        return [
            "This is the text that the model was validated on. Its best checkpoint was chosen by this text, so the "
            "loss on other texts may be a little higher."
        ]
    return []


def _validates(corpus: CorpusRecord, config: TrainConfig | None) -> bool:
    """Return whether a part of the training text was used for validation."""
    return corpus.val_sources is None and config is not None and (config.val > 0 or config.split == "char-rnn")
