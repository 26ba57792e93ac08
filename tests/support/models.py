"""Models with random weights, and their files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.network.parameters import Role, parameters
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
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


def write_model(path: Path, vocab: Vocabulary, text: TextConfig = DEFAULT_TEXT) -> None:
    """Write the checkpoint of an untrained model that is sure of itself, and never falls into one letter for ever."""
    model = ModelConfig("rnn", 2, 16)
    weights = dict(random_weights(model, vocab.size, "float32", scale=2.0, seed=3))
    for parameter in parameters(model, vocab.size):
        if parameter.role is Role.OUTPUT:
            weights[parameter.name] *= np.float32(4)
        elif parameter.symbol == "b":
            weights[parameter.name] *= np.float32(0.2)
    write_checkpoint(path, Checkpoint(model, vocab, weights, text=text))
