"""The values of gates and states for histograms are those that other functions find, one at a time."""

import numpy as np
import pytest

from charrnn.config import ModelConfig, TextConfig
from charrnn.data.parts import Part
from charrnn.inference.activations import activations
from charrnn.inference.distributions import distributions
from charrnn.inference.model import Model
from charrnn.inference.neurons import LEFT, RIGHT, neurons
from charrnn.network.units import fields, unit
from charrnn.text.features import FEATURES
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\n abc")
TEXT = "abc\nab a\n\ncab\n" * 9


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ModelConfig("lstm", 2, 6), TextConfig()),
        # Several documents are read at once.
        (ModelConfig("gru", 2, 5, stack="grid"), TextConfig(one_per_line=True)),
        (ModelConfig("rnn", 1, 5, attention=4), TextConfig(reverse=True)),
    ],
)
def test_each_value_is_there_once(config, text):
    model = Model(config, VOCAB, random_weights(config, VOCAB.size, scale=6.0), text)
    part = Part(VOCAB.encode(TEXT), line_end=0 if text.one_per_line else None, resets=text.one_per_line)
    found = distributions(model, part)
    gates = {f"gates/{gate}": gate for gate in neurons(model, part, FEATURES[:1]).gates}
    states = {f"states/{field}": field for field in fields(config)}
    assert list(found) == [*gates, *states]
    for name, gate in gates.items():
        assert found[name].shape == (len(TEXT), config.units)
        np.testing.assert_allclose((found[name] > RIGHT).mean(axis=0), gate.right)
        np.testing.assert_allclose((found[name] < LEFT).mean(axis=0), gate.left)
    for name, field in states.items():
        units = [unit(config, f"{field}/{place}") for place in range(config.units)]
        expected = np.sort(activations(model, part, units), axis=0)
        np.testing.assert_allclose(np.sort(found[name], axis=0), expected, rtol=1e-5, atol=1e-6)
