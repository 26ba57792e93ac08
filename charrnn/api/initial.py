"""`charrnn train --init`: a new run begins with a trained model."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.data.corpus import Corpus
    from charrnn.runs.checkpoint import Checkpoint

# Characters that a report names.
SHOWN = 60


def trained_model(init: str, given: dict[str, Any]) -> "Checkpoint":
    """Return the model to begin with; options that ask for another size are an error."""
    import numpy as np

    from charrnn.network.parameters import check_weights
    from charrnn.runs.checkpoint import read_checkpoint
    from charrnn.runs.folder import find_checkpoint

    path = find_checkpoint(init)
    checkpoint = read_checkpoint(path)
    check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
    if not all(np.isfinite(weight).all() for weight in checkpoint.weights.values()):
        raise CharRNNError(f"{path} holds numbers that are not finite.", hint="Begin with another model.")
    for field in fields(ModelConfig):
        has = getattr(checkpoint.model, field.name)
        if given.get(field.name, has) != has:
            raise CharRNNError(
                f"--{field.name} {given[field.name]} is not what {path} has: {has}.",
                hint="A model keeps its cell and size; leave the option out.",
            )
    return checkpoint


def transferred(trained: "Checkpoint", corpus: "Corpus", seed: int) -> "dict[str, np.ndarray]":
    """Return the model's weights for the characters of this text, and say which are shared, new and unused."""
    from charrnn.training.transfer import transfer

    old, new = set(trained.vocab.symbols), set(corpus.vocab.symbols)
    used = set(corpus.text.symbols) & new
    say(f"Beginning with a trained {trained.model.cell}: {len(old & used):,} characters of this text are known to it.")
    fates = (("New to it", new - old), ("Not in this text, kept", (old - used) & new), ("Forgotten", old - new))
    for what, characters in fates:
        if characters:
            shown = printable("".join(sorted(characters)[:SHOWN])) + (" …" if len(characters) > SHOWN else "")
            say(f"  {what}: {shown} ({len(characters):,}).")
    return transfer(trained.model, trained.weights, trained.vocab, corpus.vocab, seed)
