"""Models for the commands that make vectors of lines, and the lines."""

from pathlib import Path

from charrnn.config import TextConfig
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

VOCAB = Vocabulary.of("\n abcdefgh☞")
MODELS = {
    "forth": (VOCAB, TextConfig(one_per_line=True)),
    "back": (VOCAB, TextConfig(one_per_line=True, reverse=True)),
    "lower": (VOCAB, TextConfig(one_per_line=True, lower=True)),
    "bytes": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True)),
}
LINES = ["bad cafe", "", "a", "egg", "bad cafe", "dead bee ☞", "beef", "egg", "cab", "faced"]


def write_models(folder: Path) -> Path:
    """Write the models, with the same weights where they have the same vocabulary; return their folder."""
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    return folder
