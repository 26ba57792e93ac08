"""Vectors of texts: the states after their characters, pooled, against a loop over the characters of each text."""

import numpy as np
import pytest

from charrnn.config import POOLS, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import vectors as pooled
from charrnn.inference.model import Model
from charrnn.inference.scoring import begin
from charrnn.inference.stream import Stream
from charrnn.network.units import Field, fields, unit, unit_names, values
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\nabcdefgh")
MODELS = [
    ModelConfig("lstm", 2, 8),
    ModelConfig("gru", 1, 8, attention=3),
    ModelConfig("slstm", 2, 8, stack="residual"),
    ModelConfig("lstm", 3, 8, stack="gated-feedback"),
    ModelConfig("rnn", 2, 8, stack="grid"),
]
TEXTS = ["", "a", "hgfedcba", "abc", "bbbbbbbbbbbbbbbb", "cab", *("abcdefgh"[: n % 9] for n in range(40))]


def model_of(config: ModelConfig, dtype: str = "float64") -> Model:
    return Model(config, VOCAB, random_weights(config, VOCAB.size, dtype), TextConfig(one_per_line=True))


def states_of(model: Model, text: str, of: list[Field]) -> list[np.ndarray]:
    """Return the state before a text and after each of its characters, (units of all fields,)."""
    stream, found = Stream(model), []
    for id in [model.vocab.start, *model.vocab.encode(text).tolist()]:
        stream.step(id)
        found.append(np.concatenate([np.array(value) for value in values(stream.states, of)]))
    return found


def expected(pool: str, states: list[np.ndarray]) -> np.ndarray:
    before, *after = states
    after = after or [before]
    if pool == "mean":
        return sum(after) / len(after)
    if pool == "max":
        return np.max(after, axis=0)
    return after[-1] if pool == "last" else np.concatenate([after[0], after[-1]])


@pytest.mark.parametrize("config", MODELS, ids=lambda config: f"{config.cell}-{config.stack}")
@pytest.mark.parametrize("pool", POOLS)
def test_vectors_are_those_of_each_text_alone(config, pool):
    model = model_of(config)
    of = fields(config)
    ids = [VOCAB.encode(text) for text in TEXTS]
    found = pooled.vectors(begin(model, model.before(ids[0])), ids, pool, of)
    assert found.shape == (len(TEXTS), pooled.width(model, pool, of)) and found.dtype == np.float32
    for vector, text in zip(found, TEXTS, strict=True):
        wanted = expected(pool, states_of(model, text, of))
        assert np.abs(vector - wanted).max() < 1e-6 * max(1, np.abs(wanted).max())


def test_pools_differ_and_so_do_texts():
    model = model_of(MODELS[0])
    begun, of = begin(model, model.before(VOCAB.encode(""))), fields(MODELS[0])
    ids = [VOCAB.encode(text) for text in ("abc", "acb")]
    found = {pool: pooled.vectors(begun, ids, pool, of) for pool in POOLS}
    for pool, vectors in found.items():
        assert np.abs(vectors[0] - vectors[1]).max() > 1e-3, pool
    assert np.abs(found["mean"] - found["max"]).max() > 1e-3 < np.abs(found["mean"] - found["last"]).max()


def test_compiled_code_gives_the_same_vectors():
    config = ModelConfig("lstm", 2, 16)
    model = model_of(config, "float32")
    ids = [VOCAB.encode(text) for text in TEXTS]
    of = fields(config, -1, "c")
    found = {}
    for engine in ("numpy", "compiled"):
        model.engine = engine
        found[engine] = pooled.vectors(begin(model, model.before(ids[0])), ids, "mean", of)
    assert np.abs(found["numpy"] - found["compiled"]).max() < 1e-5


def test_fields_and_units_have_names():
    config = ModelConfig("lstm", 2, 8)
    assert list(map(str, fields(config))) == ["layer0/h", "layer0/c", "layer1/h", "layer1/c"]
    assert list(map(str, fields(config, -1))) == ["layer1/h", "layer1/c"]
    assert list(map(str, fields(config, None, "c"))) == ["layer0/c", "layer1/c"]
    assert list(map(str, fields(ModelConfig("gru", 2, 8, stack="gated-feedback"), None, "h"))) == [
        "layer0/h",
        "layer0/h_0",
    ]
    assert list(unit_names(config, fields(config, 1, "h")))[-1] == "layer1/h/7"
    assert str(unit(config, "layer1/c/7")) == "layer1/c/7"


@pytest.mark.parametrize("layer, state, message", [(2, None, "has the layers 0 to 1"), (-1, "n", "has h, c")])
def test_a_layer_or_field_that_does_not_exist_is_told(layer, state, message):
    with pytest.raises(CharRNNError, match=message):
        fields(ModelConfig("lstm", 2, 8), layer, state)


@pytest.mark.parametrize("name", ["layer2/h/0", "layer1/n/0", "layer1/h/8", "layer1/h", "h", "layer1/h/-1"])
def test_a_unit_that_does_not_exist_is_told(name):
    with pytest.raises(CharRNNError, match="has no unit"):
        unit(ModelConfig("lstm", 2, 8), name)
