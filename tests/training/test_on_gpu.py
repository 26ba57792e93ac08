"""What is computed in another way on a GPU, computed so here: steps by XLA, loops unrolled."""

import keras
import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import EvalStep, TrainStep, Window, fresh_states
from support.models import random_weights
from support.shards import shards_of

if keras.backend.backend() == "jax":
    from charrnn.training.backends.jax import scan as jax_scan
else:
    import tensorflow as tf

    from charrnn.training.backends.tensorflow import ops as on_tensorflow

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

VOCAB, SEQ, BATCH, UNITS = 7, 9, 3, 6


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
    losses.append(float(EvalStep(net, step.shards)(window, states)[0][0]))
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
