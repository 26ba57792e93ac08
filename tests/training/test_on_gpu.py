"""What is computed in another way on a GPU, computed so here: layers by Keras's, steps by XLA, loops unrolled."""

import keras
import numpy as np
import pytest
from keras import ops

from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.states import initial_states
from charrnn.training import network as layers
from charrnn.training.backends import engine
from charrnn.training.backends.engine import compiled, loss_and_gradients, xp
from charrnn.training.cudnn import Library
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import EvalStep, TrainStep, Window, cross_entropy, fresh_states
from support.models import random_weights
from support.representatives import case, slow_on_jax
from support.shards import shards_of

if keras.backend.backend() == "jax":
    from charrnn.training.backends.jax import scan as jax_scan
else:
    import tensorflow as tf

    from charrnn.training.backends.tensorflow import ops as on_tensorflow

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

VOCAB, SEQ, BATCH, UNITS = 7, 9, 3, 6
MODELS = [
    case(ModelConfig(cell, 2, UNITS, **more), fast="embedding" in more, on_jax=True)
    for cell in engine.backend.cudnn_cells
    for more in ({}, {"embedding": 4}, {"stack": "residual"})
]


def results(model: ModelConfig, change=lambda weights: None) -> dict[str, np.ndarray]:
    """Return the loss, the last state and the gradients of a window, dropout on, from a state that is not zero."""
    rng = np.random.default_rng(4)
    weights = dict(random_weights(model, VOCAB, "float32", scale=2.0))
    change(weights)
    net = CharRNN(model, VOCAB, weights)
    ids = rng.integers(0, VOCAB, (SEQ, BATCH)).astype(np.int32)
    masks = rng.integers(0, 2, (2, SEQ, BATCH, UNITS)).astype(np.float32) * 2
    states = [
        type(state)(*(ops.convert_to_tensor(rng.normal(size=field.shape).astype(np.float32)) for field in state))
        for state in initial_states(xp, model, BATCH, "float32")
    ]

    def loss(values):
        logits, after = net.call(ids, states, lambda layer, x: x * masks[layer], values=values)
        return cross_entropy(logits, np.roll(ids, -1, axis=0)), [list(state) for state in after]

    nats, after, gradients = compiled(lambda values: loss_and_gradients(loss, values))(net.values())
    found = {"loss": nats, **{f"{n} {m}": x for n, state in enumerate(after) for m, x in enumerate(state)}, **gradients}
    return {name: np.array(ops.convert_to_numpy(value)) for name, value in found.items()}


@pytest.fixture
def with_gpu(monkeypatch):
    """Let charrnn think that a GPU computes; Keras knows better, and uses no cuDNN."""
    monkeypatch.setattr(engine, "on_gpu", lambda: True)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_layer_of_keras_gives_what_the_scan_gives(model, monkeypatch):
    expected = results(model)
    monkeypatch.setattr(engine, "on_gpu", lambda: True)
    monkeypatch.setattr(layers, "scan", lambda *arguments, **more: pytest.fail("the scan ran"))
    found = results(model)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-5 * max(1, np.abs(value).max()), err_msg=name)

    def another_gate(weights):
        weights["layer1/U"] = np.roll(weights["layer1/U"], UNITS, axis=1)

    assert abs(float(results(model, another_gate)["loss"] - expected["loss"])) > 1e-3


def test_where_the_scan_does_it(with_gpu, monkeypatch):
    def runs(model, vocab_size=VOCAB, dtype="float32"):
        return Library.of(model, vocab_size, dtype) is not None

    lstm = ModelConfig("lstm", 2, UNITS)
    assert runs(lstm) and runs(ModelConfig("lstm", embedding=3), 5000)
    assert not runs(lstm, 256) and not runs(lstm, dtype="float64")
    for other in (ModelConfig("gru"), ModelConfig("lstm", stack="grid"), ModelConfig("lstm-peephole")):
        assert not runs(other)
    monkeypatch.setattr(engine, "on_gpu", lambda: False)
    assert not runs(lstm)


@slow_on_jax
def test_documents_that_begin_inside_a_window_are_the_scans(with_gpu, monkeypatch):
    scanned = []
    real = layers.scan
    monkeypatch.setattr(layers, "scan", lambda *arguments, **more: scanned.append(1) or real(*arguments, **more))
    model = ModelConfig("lstm", 2, UNITS)
    net = CharRNN(model, VOCAB, random_weights(model, VOCAB, "float32"))
    states = initial_states(xp, model, BATCH, "float32")
    ids, reset = np.ones((SEQ, BATCH), np.int32), np.zeros((SEQ, BATCH), bool)
    net.call(ids, states)
    assert net.library and not scanned
    net.call(ids, states, reset=ops.convert_to_tensor(reset))
    assert len(scanned) == 2


# With TensorFlow, XLA draws other random numbers.
DROPOUT = 0.3 if keras.backend.backend() == "jax" else 0.0


def trained(model: ModelConfig) -> dict[str, np.ndarray]:
    """Return the losses and weights of three steps and of an evaluation after them."""
    rng = np.random.default_rng(5)
    net = CharRNN(model, VOCAB, random_weights(model, VOCAB, "float32"))
    step = TrainStep(net, make_optimizer(TrainConfig()), shards_of(BATCH, 1), dropout=DROPOUT)
    states, losses = fresh_states(net, step.shards), []
    window = Window(*(rng.integers(0, VOCAB, (SEQ, BATCH)).astype(np.int32) for _ in range(2)))
    for number in range(3):
        loss, states = step(window, states, number, 0.01)
        losses.append(float(loss))
    losses.append(float(EvalStep(net, step.shards)(window, states)[0]))
    return {"losses": np.array(losses), **net.read()}


@pytest.mark.parametrize("cell", ["gru"])
def test_a_step_compiled_for_a_gpu_is_the_same(cell, monkeypatch):
    model = ModelConfig(cell, 1, UNITS)
    expected, compiled_so = trained(model), []
    if keras.backend.backend() == "jax":
        real = jax_scan.lax_scan
        monkeypatch.setattr(jax_scan, "on_gpu", lambda: True)
        monkeypatch.setattr(jax_scan, "lax_scan", lambda *a, **k: compiled_so.append(k["unroll"] > 1) or real(*a, **k))
    else:
        real = tf.function
        monkeypatch.setattr(on_tensorflow, "on_gpu", lambda: True)
        monkeypatch.setattr(tf, "function", lambda *a, **k: compiled_so.append(k["jit_compile"]) or real(*a, **k))
    found = trained(model)
    assert compiled_so and all(compiled_so)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=3e-5, err_msg=name)
