"""The short text that is drawn at each evaluation of training, to see what the model has learned."""

from itertools import islice
from pathlib import Path

import numpy as np

from charrnn.api.model import Model
from charrnn.config import ModelConfig, TextConfig
from charrnn.inference import model as inference
from charrnn.text.decoding import readable
from charrnn.text.vocabulary import Vocabulary

# A model of lines finishes its last line, which may take thousands of characters: a longer text is cut.
LENGTH, CUT = 200, 400
TEMPERATURE = 0.7


def preview(
    model: ModelConfig,
    vocab: Vocabulary,
    text: TextConfig,
    weights: dict[str, np.ndarray],
    step: int,
    val_nats: float | None,
) -> str | None:
    """Return a text that a model draws after `step` steps, as people read it; None for a model of labels.

    It depends on nothing but the arguments. A text of more than CUT characters is cut, and ends with " …".
    """
    if model.classes is not None:
        return None
    from threadpoolctl import threadpool_limits

    # NumPy computes it: code that is compiled meanwhile would take over at a moment that differs between runs. With one
    # thread it rounds the same on any number of cores, and never waits for the threads of training.
    drawing = Model(inference.Model(model, vocab, weights, text, val_nats), Path())
    with threadpool_limits(1, user_api="blas"):
        drawn = "".join(islice(drawing.stream(LENGTH, temperature=TEMPERATURE, seed=step), CUT + 1))
    return readable(drawn[:CUT], text) + (" …" if len(drawn) > CUT else "")
