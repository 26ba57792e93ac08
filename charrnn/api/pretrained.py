"""A new run that starts from a trained model: which of its weights are used."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from charrnn.api.events import Noticed
from charrnn.api.settings import MODEL
from charrnn.config import ModelConfig
from charrnn.data.corpus import Corpus
from charrnn.errors import CharRNNError
from charrnn.network.parameters import check_weights
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.finding import find_checkpoint
from charrnn.text.sources import STDIN
from charrnn.text.text import Text
from charrnn.training.transfer import transfer

# How many characters a notice shows.
SHOWN = 60


def trained_model(init: str, given: Mapping[str, Any]) -> Checkpoint:
    """Return the model to start from; raise CharRNNError if the settings ask for another size."""
    path = find_checkpoint(init)
    checkpoint = read_checkpoint(path)
    check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
    if not all(np.isfinite(weight).all() for weight in checkpoint.weights.values()):
        raise CharRNNError(
            f"{path} has weights that are not finite (NaN or infinity).", hint="Start from another model."
        )
    for name in MODEL:
        has = getattr(checkpoint.model, name)
        if given.get(name, has) != has:
            raise CharRNNError(
                f"`{name}={given[name]}` does not fit {path}, which has {has}.",
                hint="The new model has the same cell and size; leave the setting out.",
            )
    return checkpoint


def known_to(trained: Checkpoint, text: Text) -> list[str]:
    """Return a notice if the model to start from was trained on this text, or on a part of it."""
    before = trained.progress and trained.progress.corpus
    if not before or (before.sha256 != text.sha256 and not {*before.sources} & {*text.sources} - {STDIN}):
        return []
    return [
        "The model that it starts from was trained on this text. The validation part may include text that was "
        "trained on before, so its loss may be lower than for new text."
    ]


def transferred(
    trained: Checkpoint, model: ModelConfig, corpus: Corpus, seed: int
) -> Generator[Noticed, None, dict[str, np.ndarray]]:
    """Return the trained weights for a new model of this text; yield which characters are shared, new and unused."""
    old, new = set(trained.vocab.symbols), set(corpus.vocab.symbols)
    used = set(corpus.text.counted) & new
    yield Noticed(
        f"Starting from a trained {trained.model.cell}, which knows {len(old & used):,} characters of this text.",
        is_advice=True,
    )
    fates = (("New to the model", new - old), ("Not in this text, kept", (old - used) & new), ("Forgotten", old - new))
    for what, characters in fates:
        if characters:
            shown = "".join(sorted(characters)[:SHOWN]) + (" …" if len(characters) > SHOWN else "")
            yield Noticed(f"  {what}: {shown} ({len(characters):,}).", is_advice=True)
    return transfer(model, trained.weights, trained.vocab, corpus.vocab, seed, trained.model.classes)
