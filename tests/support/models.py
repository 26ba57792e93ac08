"""Models with random weights, and their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.inference.model import Model
from charrnn.network.parameters import Role, parameters
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary


def random_weights(
    model: ModelConfig, vocab_size: int, dtype: str = "float64", scale: float = 1.0, seed: int = 0
) -> Mapping[str, np.ndarray]:
    """Return weights without any symmetry, biases too; recurrent blocks have a spectral radius of about scale / 2."""
    rng = np.random.default_rng(seed)
    weights = {}
    for parameter in parameters(model, vocab_size):
        fan_in = 1 if len(parameter.shape) == 1 or parameter.role is Role.EMBEDDING else parameter.shape[0]
        drawn = rng.normal(0, 0.5 * scale / np.sqrt(fan_in), parameter.shape)
        weights[parameter.name] = drawn.astype(dtype)
    return weights


def gone_on(model: Model, document: Sequence[int], id: int) -> list[int]:
    """Return what a model has read of a document, the start symbol first, after one more id: anew if that ends it."""
    read, end = [*document, id], model.text.document_end
    ended = model.text.resets and end is not None and model.vocab.decode(read[1:]).endswith(end)
    return [model.vocab.start] if ended else read


def write_model(
    path: Path,
    vocab: Vocabulary,
    text: TextConfig = DEFAULT_TEXT,
    progress: Progress | None = None,
    attention: int | None = None,
) -> None:
    """Write the checkpoint of an untrained model that is sure of itself, and never falls into one letter for ever."""
    model = ModelConfig("rnn", 2, 16, attention=attention)
    weights = dict(random_weights(model, vocab.size, "float32", scale=2.0, seed=3))
    for parameter in parameters(model, vocab.size):
        if parameter.role is Role.OUTPUT:
            weights[parameter.name] *= np.float32(4)
        elif parameter.symbol == "b":
            weights[parameter.name] *= np.float32(0.2)
    write_checkpoint(path, Checkpoint(model, vocab, weights, text=text, progress=progress))


def write_bigrams(path: Path, text: str, val_nats: float | None = None) -> None:
    """Write the checkpoint of a model made by hand, which predicts each character of a text from the one before it.

    `val_nats` is what it records of its validation.
    """
    vocab = Vocabulary.of(text)
    model = ModelConfig("rnn", 1, vocab.size)
    ids = vocab.encode(text)
    counts = np.full((vocab.size, vocab.size), 0.01)
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    weights = {}
    for parameter in parameters(model, vocab.size):
        value = np.zeros(parameter.shape, np.float32)
        if parameter.role is Role.OUTPUT and parameter.symbol == "W":
            value[:] = np.log(counts / counts.sum(axis=1, keepdims=True))
        elif parameter.symbol == "W":
            # The state says which character was read: tanh(9) is 1 but for rounding.
            value[: vocab.size] = 9 * np.eye(vocab.size)
        weights[parameter.name] = value
    progress = (
        None if val_nats is None else Progress(CorpusRecord(("text.txt",), "0" * 64, len(text)), best_nats=val_nats)
    )
    write_checkpoint(path, Checkpoint(model, vocab, weights, progress=progress))
