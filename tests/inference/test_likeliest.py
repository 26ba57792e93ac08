"""What a model would have guessed at each character of a text."""

from dataclasses import replace

import numpy as np
import pytest

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.data.parts import Part
from charrnn.inference.likeliest import likeliest
from charrnn.inference.model import Model
from charrnn.inference.scoring import score_part
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("abcde\n")
LINES = replace(DEFAULT_TEXT, one_per_line=True)
CONFIG = ModelConfig("gru", 1, 9)
TEXT = "".join(np.random.default_rng(1).choice(list("abcde\n"), 500))


def model_of(text: TextConfig) -> Model:
    weights = random_weights(CONFIG, VOCAB.size, "float32", scale=3.0, seed=2)
    # The input says more than the biases, so that not one character is always the likeliest.
    return Model(CONFIG, VOCAB, {name: array * (1 if array.ndim > 1 else 0.1) for name, array in weights.items()}, text)


def part_of(text: TextConfig) -> Part:
    ids = VOCAB.encode(TEXT)
    return Part(ids, line_end=int(VOCAB.encode("\n")[0]) if text.one_per_line else None, resets=text.resets)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("form", [DEFAULT_TEXT, LINES])
def test_they_cost_what_scoring_says(form, reverse):
    form = replace(form, reverse=reverse)
    model, part = model_of(form), part_of(form)
    expected = np.empty(len(part), np.float32)
    for low, high, nats in score_part(model, part):
        expected[low:high] = nats
    found = likeliest(model, part)
    np.testing.assert_allclose(found.nats, expected, rtol=1e-4, atol=1e-5)


def test_the_likeliest_is_what_the_stream_has_step_by_step():
    model, part = model_of(LINES), part_of(LINES)
    expected, previous, stream = [], VOCAB.start, Stream(model, 1)
    for id in part.ids().tolist():
        expected.append(int(np.ravel(stream.step(np.array([previous]))).argmax()))
        previous = id
        if id == VOCAB.encode("\n")[0]:
            previous, stream = VOCAB.start, Stream(model, 1)
    assert likeliest(model, part).likeliest.tolist() == expected and len(set(expected)) > 2


def test_an_empty_part_has_none():
    assert len(likeliest(model_of(DEFAULT_TEXT), part_of(DEFAULT_TEXT).cut(0, 0)).nats) == 0
