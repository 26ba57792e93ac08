"""Labelled texts, and models of labels with random weights."""

import random
from pathlib import Path

import numpy as np

from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.corpus import Dataset, classes_of, dataset
from charrnn.inference import ops
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

LABELS = ("low", "mid", "top")
MODEL = ModelConfig("gru", 2, 6, classes=LABELS)


def write_labelled(path: Path) -> Path:
    """Write 300 labelled texts: a text with an x is "top", else one with a y "mid"; some are empty."""
    rng = random.Random(2)
    letters = [rng.choice(("ab", "abxy", "abxyc")) for _ in range(300)]
    texts = ["".join(rng.choices(of, k=rng.randrange(12))) for of in letters]
    path.write_text("".join(f"{label_of(text)}\t{text}\n" for text in texts))
    return path


def label_of(text: str) -> str:
    return "top" if "x" in text else "mid" if "y" in text else "low"


def data_of(path: Path, config: TrainConfig, reverse: bool = False) -> Dataset:
    """Return labelled texts as training reads them."""
    text = read_text([path], TextConfig(labels=True, reverse=reverse))
    vocab = Vocabulary.of(text.counted)
    data = dataset(text, vocab, config, classes=classes_of(text))
    assert data.classes == LABELS
    return data


def judged(model: Model, text: str) -> np.ndarray:
    """Return the probabilities of the labels: of the mean logits after the start symbol and each character."""
    stream, ids = Stream(model), model.vocab.encode(text).tolist()
    logits = [np.array(stream.step(id)) for id in [model.vocab.start, *ids]]
    return ops.softmax(np.mean(logits, axis=0), -1)


def model_of(path: Path, reverse: bool = False, config: ModelConfig = MODEL, dtype: str = "float64") -> Model:
    """Return a model of the labels of texts."""
    vocab = Vocabulary.of(read_text([path], TextConfig(labels=True)).counted)
    weights = random_weights(config, vocab.size, dtype, scale=2.0)
    return Model(config, vocab, weights, TextConfig(labels=True, reverse=reverse))
