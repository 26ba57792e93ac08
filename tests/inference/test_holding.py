"""Held units: each way of reading against a loop that sets the unit after each step of its layer."""

from functools import partial

import numpy as np
import pytest

from charrnn.config import ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import ops
from charrnn.inference.batch import generate
from charrnn.inference.beam import beam_search
from charrnn.inference.generation import Ending, Generation, generate_one, whole
from charrnn.inference.holding import holding, is_value
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.forward import forward
from charrnn.network.states import initial_states
from charrnn.network.units import unit
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\nabcdefgh")
# A unit of each that something else reads in the same step, and one that only the next step reads.
MODELS = [
    (ModelConfig("lstm", 2, 8), {"layer0/h/3": 0.7, "layer1/c/2": -1.5}),
    (ModelConfig("lstm", 2, 8), {"layer1/h/3": -0.9}),
    (ModelConfig("gru", 3, 8, stack="residual"), {"layer1/h/0": 2.0}),
    (ModelConfig("gru", 1, 8, attention=3), {"layer0/h/7": 1.0}),
    (ModelConfig("lstm-depth-gated", 2, 8), {"layer0/c/1": 3.0}),
    (ModelConfig("lstm", 3, 8, stack="gated-feedback"), {"layer0/h_0/5": 1.0, "layer0/c/1": 2.0}),
    (ModelConfig("rnn", 2, 8, stack="grid"), {"layer0/h/5": 1.0, "layer1/h_time/1": 2.0}),
]
IDS = [VOCAB.start, *VOCAB.encode("abcabcddhgfe\nabcb").tolist()]


def models_of(config: ModelConfig, held: dict[str, float], text: TextConfig | None = None) -> tuple[Model, Model]:
    """Return a model, and the same with held units."""
    model = Model(config, VOCAB, random_weights(config, VOCAB.size), text or TextConfig())
    return model, holding(model, {unit(config, name): value for name, value in held.items()})


def by_hand(model: Model, held: dict[str, float], ids: list[int]) -> np.ndarray:
    """Return the logits after each id: each layer is stepped by its equations, and then its units are set."""
    states, found = initial_states(ops, model.config, 1, "float64"), []

    def scan(layers, cell, zx, state, matrices, vectors, reset, emitted):
        layer = next(layers)
        after = cell.step(ops, zx[0], state, lambda vector, name: vector @ matrices[name], vectors)
        after = cell.state(*(np.array(value) for value in after))
        for name, value in held.items():
            number, field, place = name.removeprefix("layer").split("/")
            if int(number) == layer:
                getattr(after, field)[0, int(place)] = value
        return [getattr(after, name)[None] for name in emitted], after

    for id in ids:
        layers = iter(range(model.config.layers))
        logits, states = forward(
            ops, model.config, model.weights, np.array([[id]]), states, partial(scan, layers), table=model.table
        )
        found.append(logits[0, 0])
    return np.array(found)


@pytest.mark.parametrize("config, held", MODELS, ids=lambda one: getattr(one, "title", None))
def test_reading_with_held_units_is_what_a_loop_gives(config, held):
    free, model = models_of(config, held)
    expected = by_hand(free, held, IDS)
    assert np.abs(expected - by_hand(free, {}, IDS)).max() > 1e-3
    np.testing.assert_allclose(Stream(model).feed(np.array(IDS)[:, None])[:, 0], expected, atol=1e-12)
    stream = Stream(model)
    np.testing.assert_allclose([stream.step(id).copy() for id in IDS], expected, atol=1e-12)
    together = Stream(model, 3)
    np.testing.assert_allclose([together.step(np.repeat(id, 3))[1].copy() for id in IDS], expected, atol=1e-12)
    # What is held in one model is free in the other.
    np.testing.assert_allclose(Stream(free).feed(np.array(IDS)[:, None])[:, 0], by_hand(free, {}, IDS), atol=1e-12)


def drawn(model: Model) -> dict[str, list[int]]:
    """Return the texts that the ways of generation write."""
    before, how = model.before(VOCAB.encode("ab")), Generation(Ending(30), seed=3)
    one = whole(generate_one(model, before, how)).ids.tolist()
    many = [sample.ids.tolist() for sample in generate(model, before[:-1], [before[-1:]] * 3, how)]
    return {
        "one": one,
        "first": many[0],
        "third": many[2],
        "beam": beam_search(model, before, 4, Ending(12)).ids.tolist(),
    }


def test_all_ways_of_generation_hold_units():
    config, held = MODELS[0]
    free, model = models_of(config, held)
    # The highest layer as the only one that matters: all logits are known.
    output = {**model.weights, "output/W": np.zeros((8, VOCAB.size)), "output/b": np.zeros(VOCAB.size)}
    output["output/W"][4, 2] = output["output/W"][5, 7] = 10.0
    free = Model(config, VOCAB, output)
    pushed = {place: holding(free, {unit(config, f"layer1/h/{place}"): 10.0}) for place in (4, 5)}
    for place, id in ((4, 2), (5, 7)):
        for name, ids in drawn(pushed[place]).items():
            assert set(ids) == {id}, name
    assert len(set(drawn(free)["one"])) > 3
    assert drawn(free)["one"] == drawn(free)["first"]


def test_units_are_held_after_the_model_has_forgotten_a_document():
    config, held = ModelConfig("gru", 1, 8), {"layer0/h/2": 1.5}
    _, model = models_of(config, held, TextConfig(one_per_line=True))
    stream = Stream(model, 2)
    stream.step(np.array([VOCAB.start] * 2))
    for ids in ([1, 2], [0, 3], [4, 0], [5, 5]):
        stream.go_on(np.array(ids))
        assert (stream.states[0].h[:, 2] == 1.5).all() and len(set(stream.states[0].h[:, 3])) == 2


def test_compiled_code_is_never_used_for_held_units():
    config = ModelConfig("lstm", 2, 8)
    model = Model(config, VOCAB, random_weights(config, VOCAB.size, "float32"))
    model.engine = "auto"
    assert model.compiled.patience() is not None
    held = holding(model, {unit(config, "layer1/h/3"): 1.0})
    assert held.compiled.patience() is None and held.compiled.patience(64) is None
    assert model.compiled.patience() is not None
    model.engine = "compiled"
    with pytest.raises(CharRNNError, match="`clamp` is computed by NumPy"):
        holding(model, {})


def test_values_are_finite_numbers():
    model, _ = models_of(ModelConfig("gru", 1, 8), {})
    assert all(is_value(model, value) for value in (0, -2.5, np.float32(1), 10**30))
    assert not any(is_value(model, value) for value in ("1", None, True, np.inf, -np.inf, np.nan, 10**400, [1]))
    small = Model(model.config, VOCAB, random_weights(model.config, VOCAB.size, "float32"))
    assert is_value(model, 1e300) and not is_value(small, 1e300)
