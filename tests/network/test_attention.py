"""Attention against loops over texts and places, in training and in use."""

from itertools import pairwise

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.inference import ops
from charrnn.inference.alignment import alignments
from charrnn.inference.attention import texts_at_once
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.attention import Memory, attend, attending, key_width
from charrnn.network.states import initial_states, named, state_shapes
from support.models import random_weights
from support.representatives import case

BATCH, UNITS = 3, 12
KEY = key_width(UNITS)


def weights_of(n: int, scale: float = 3.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    return {
        "attention/W": scale * rng.normal(size=(UNITS, 2 * KEY + UNITS)) / np.sqrt(UNITS),
        "attention/R": scale * rng.normal(size=(n + 1, KEY)),
    }


def by_loops(weights, h, reset, n, scale=KEY**-0.5, nearest=0, furthest=0, turned=False):
    """Return the output for h, (time, batch, units); the last arguments are mistakes."""
    output = h.copy()
    for text in range(h.shape[1]):
        begin = 0
        for t in range(len(h)):
            begin = t if reset[t, text] else begin
            places = list(range(max(begin, t - n - furthest), max(begin, t - nearest) + 1))
            made = h[places, text] @ weights["attention/W"]
            query = (h[t, text] @ weights["attention/W"])[:KEY]
            keys = made[::-1, KEY : 2 * KEY] if turned else made[:, KEY : 2 * KEY]
            scores = [
                query @ (key + weights["attention/R"][min(t - j, n)]) * scale
                for key, j in zip(keys, places, strict=True)
            ]
            shares = np.exp(scores - np.max(scores))
            output[t, text] += shares / shares.sum() @ made[:, 2 * KEY :]
    return output


def by_windows(weights, h, reset, n, bounds):
    """Return the output for h of `attend`, which reads one window after the other."""
    memory = Memory(np.zeros((BATCH, n, KEY)), np.zeros((BATCH, n, UNITS)), np.zeros((BATCH, n)))
    outputs = []
    for low, high in pairwise(bounds):
        own = reset[low:high] if reset is not None else None
        output, memory, _ = attend(ops, weights, h[low:high], memory, own)
        assert [part.shape for part in memory] == [(BATCH, n, KEY), (BATCH, n, UNITS), (BATCH, n)]
        outputs.append(output)
    return np.concatenate(outputs)


# n is smaller than a window, as long, and longer.
@pytest.mark.parametrize("n", [1, 4, 7, 30])
@pytest.mark.parametrize("often", [0.0, 0.2])
def test_windows_are_the_loops(n, often):
    rng = np.random.default_rng(0)
    h, reset = rng.normal(size=(41, BATCH, UNITS)), rng.random((41, BATCH)) < often
    weights = weights_of(n)
    expected = by_loops(weights, h, reset, n)
    for bounds in ([0, 41], [0, 7, 14, 21, 28, 41], [0, 1, 2, 39, 41]):
        for given in (reset, None) if not often else (reset,):
            np.testing.assert_allclose(by_windows(weights, h, given, n, bounds), expected, atol=1e-12)


@pytest.mark.parametrize(
    "mistake", [{"scale": 1.0}, {"nearest": 1}, {"furthest": 1}, {"furthest": -1}, {"turned": True}], ids=str
)
def test_the_loops_tell_mistakes(mistake):
    rng = np.random.default_rng(0)
    h, reset = rng.normal(size=(41, BATCH, UNITS)), rng.random((41, BATCH)) < 0.1
    weights = weights_of(4)
    assert np.abs(by_loops(weights, h, reset, 4, **mistake) - by_windows(weights, h, reset, 4, [0, 7, 41])).max() > 0.1


def test_a_reset_one_step_late_is_told():
    rng = np.random.default_rng(0)
    h, reset = rng.normal(size=(41, BATCH, UNITS)), rng.random((41, BATCH)) < 0.1
    late = np.roll(reset, 1, axis=0)
    weights = weights_of(4)
    assert np.abs(by_loops(weights, h, late, 4) - by_windows(weights, h, reset, 4, [0, 7, 41])).max() > 0.1


@pytest.mark.parametrize(
    "layers, stack, layer", [(1, "plain", 0), (2, "plain", 0), (3, "residual", 1), (3, "gated-feedback", 0)]
)
def test_the_last_but_one_layer_attends(layers, stack, layer):
    assert attending(ModelConfig("lstm", layers, 8, None, stack, 4)) == layer
    assert attending(ModelConfig("lstm", layers, 8, None, stack)) is None


def test_the_state_has_the_memory():
    model = ModelConfig("gru", 2, 8, None, "plain", 5)
    shapes = {
        "layer0/h": (3, 8),
        "layer1/h": (3, 8),
        "attention/keys": (3, 5, 2),
        "attention/values": (3, 5, 8),
        "attention/seen": (3, 5),
    }
    assert named(state_shapes(model, 3)) == shapes
    assert {name: x.shape for name, x in named(initial_states(ops, model, 3, "float32")).items()} == shapes


MODELS = [
    ModelConfig("lstm", 2, UNITS, None, "plain", 4),
    ModelConfig("gru", 3, UNITS, 5, "residual", 90),
    ModelConfig("lstm", 1, UNITS, None, "plain", 6),
    ModelConfig("lstm", 2, UNITS, None, "gated-feedback", 3),
    ModelConfig("rnn", 2, UNITS, None, "grid", 5),
    ModelConfig("lstm-mogrifier", 2, UNITS, None, "plain", 7),
]


@pytest.mark.backend
@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.title} {model.stack}")
@pytest.mark.parametrize("dtype, bound", [case("float64", 1e-9, on_jax=True), case("float32", 1e-5)])
def test_logits_of_training_and_runtime_agree_with_documents(model, dtype, bound, vocab):
    from charrnn.training.backends.engine import compiled, xp
    from charrnn.training.network import CharRNN

    weights = random_weights(model, vocab.size, dtype, scale=1.2 if model.cell == "rnn" else 2.0)
    rng = np.random.default_rng(1)
    ids, reset = rng.integers(0, vocab.size + 1, (500, BATCH)), rng.random((500, BATCH)) < 0.02
    net = CharRNN(model, vocab.size, weights, dtype)
    run = compiled(lambda ids, reset, states: net.call(ids, states, None, reset, False))
    # In windows of 64, the last one shorter: the memory is carried.
    states, expected = initial_states(xp, model, BATCH, dtype), []
    for low in range(0, len(ids), 64):
        logits, states = run(ids[low : low + 64], reset[low : low + 64], states)
        expected.append(np.array(logits))
    expected = np.concatenate(expected)
    assert expected.dtype == dtype
    stream, logits = Stream(Model(model, vocab, weights), BATCH), []
    for now, begins in zip(ids, reset, strict=True):
        stream.forget(begins)
        logits.append(stream.step(now).copy())
    assert np.abs(np.stack(logits) - expected).max() < bound * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.title} {model.stack}")
def test_all_ways_to_read_a_text_agree(model, vocab):
    weights = random_weights(model, vocab.size, "float64", scale=1.2)
    network = Model(model, vocab, weights)
    ids = np.random.default_rng(2).integers(0, vocab.size + 1, (200, BATCH))
    stepped = Stream(network, BATCH)
    expected = np.stack([stepped.step(now).copy() for now in ids])
    for bounds in ([0, 200], [0, 1, 90, 91, 200]):
        whole, one = Stream(network, BATCH), Stream(network)
        for low, high in pairwise(bounds):
            np.testing.assert_allclose(whole.feed(ids[low:high]), expected[low:high], atol=1e-10)
            np.testing.assert_allclose(one.feed(ids[low:high, :1])[:, 0], expected[low:high, 0], atol=1e-10)
    # Some read at once, the others step by step.
    mixed = Stream(network)
    mixed.feed(ids[:77, 1:2])
    logits = [mixed.step(int(now)).copy() for now in ids[77:, 1]]
    np.testing.assert_allclose(logits, expected[77:, 1], atol=1e-10)


def test_rows_are_copied_and_forgotten(vocab):
    model = MODELS[0]
    network = Model(model, vocab, random_weights(model, vocab.size, "float64", scale=2.0))
    ids = np.random.default_rng(3).integers(0, vocab.size + 1, (60, BATCH))
    alone, rows = Stream(network), Stream(network, BATCH)
    # They have stepped differently often, so that their rings are at different places.
    for now in ids[:13]:
        alone.step(int(now[0]))
    rows.feed(ids[:29])
    rows.step(ids[29])
    assert alone.attention.at != rows.attention.at
    rows.copy(alone, 1)
    rows.forget(2)
    rows.copy(rows, [0], [1])
    found = np.stack([rows.step(now).copy() for now in ids[30:]])
    fresh = Stream(network)
    for row, stream in ((0, alone), (2, fresh)):
        if row == 0:
            other = Stream(network)
            other.copy(alone)
            stream = other
        expected = [stream.step(int(now)).copy() for now in ids[30:, row]]
        np.testing.assert_allclose(found[:, row], expected, atol=1e-10)
    expected = [alone.step(int(now)).copy() for now in ids[30:, 1]]
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-10)


def test_the_memory_of_many_texts_is_limited():
    assert texts_at_once(ModelConfig("lstm", 2, 256), 512) == 512
    assert texts_at_once(ModelConfig("lstm", 2, 256, attention=64), 512) == 512
    assert texts_at_once(ModelConfig("lstm", 2, 512, attention=1023), 512) == 51
    assert texts_at_once(ModelConfig("lstm", 2, 512, attention=1_000_000), 512) == 1


def test_a_marker_that_is_read_in_two_pieces_is_known(vocab):
    from charrnn.config import TextConfig

    model = MODELS[0]
    text = TextConfig(documents_between="".join(vocab.symbols[:3]))
    stream = Stream(Model(model, vocab, random_weights(model, vocab.size), text))
    # Read in blocks of 64: the last one has only the second character of the marker.
    ids = np.full(65, 5)
    ids[63:] = [0, 1]
    stream.feed(ids[:, None])
    assert stream.matched == 2 and stream.after(2) == vocab.start
    assert stream.feed(ids[:0, None]).shape == (0, 1, vocab.size)


def test_alignments_are_the_weights_of_the_steps(vocab):
    model = MODELS[0]
    network = Model(model, vocab, random_weights(model, vocab.size, "float64", scale=2.0))
    ids = np.random.default_rng(4).integers(0, vocab.size, 90)
    found = alignments(network, np.array([vocab.start]), ids)
    # Before the first character there is only the start symbol.
    assert not found[0].any() and 0 < found[1].sum() < 1
    np.testing.assert_allclose(found[model.attention + 1 :].sum(axis=1), 1, atol=1e-6)
    for t in range(1, len(ids)):
        seen = np.flatnonzero(found[t])
        assert set(seen) <= set(range(max(0, t - 1 - model.attention), t))
    # With more characters before the text, rows add up to less.
    before = np.array([vocab.start, *ids[:10]])
    np.testing.assert_allclose(alignments(network, before, ids[10:]), found[10:, 10:], atol=1e-6)
