"""The gradient on its way back through time, against derivatives of hand-written loops, and against theory."""

import numpy as np
import pytest

from charrnn.api.gradient_reach import ALL, figures
from charrnn.cells.simple import from_slower, periods
from charrnn.config import ModelConfig
from charrnn.data.batches import Window
from charrnn.inference import ops
from charrnn.network.forward import forward
from charrnn.network.parameters import initial_weights
from charrnn.network.states import counters, from_named, initial_states, named
from charrnn.training.gradient_flow import BackThroughTime
from charrnn.training.network import CharRNN
from support.models import random_weights
from support.representatives import ON_JAX, case

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

VOCAB, UNITS, ROWS, REACH, BEFORE = 5, 4, 3, 6, 3
EXACT = 1e-6


def window_of(rows=ROWS, reach=REACH, seed=0):
    """Return random characters; in the second row a document begins just before the states that matter."""
    rng = np.random.default_rng(seed)
    steps = BEFORE + reach
    inputs, targets = rng.integers(0, VOCAB, (2, steps, rows)).astype(np.int32)
    reset = np.zeros((steps, rows), bool)
    reset[BEFORE - 1, 1 % rows] = rows > 1
    return Window(inputs, targets, reset)


def norms(model, weights, window, engine, reach=REACH, vocab=VOCAB):
    net = CharRNN(model, vocab, weights, dtype="float64", engine=engine)
    found = BackThroughTime(net).norms(window, reach, lambda done, total: None)
    return {name: np.exp(logs) for name, logs in found.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The equations of the papers, for one text; each returns the new state, of which h is first. They work with complex
# numbers, so that Im f(x + i d) / d is the derivative of f, exact to the last digits.


def rnn(z, w, h):
    return (np.tanh(z + h @ w["U"]),)


def lstm(z, w, h, c):
    i, f, g, o = np.split(z + h @ w["U"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(z, w, h):
    z, r, g = np.split(z, 3)
    u, v = np.split(h @ w["U"], 2)
    z, r = sigmoid(z + u), sigmoid(r + v)
    return (z * h + (1 - z) * np.tanh(g + (r * h) @ w["V"]),)


def clockwork(z, w, h, k):
    """The counter k is what it is, whatever h is."""
    due = k.real == 0
    new = np.tanh(z + h @ (w["U"] * from_slower(len(h))))
    return np.where(due, new, h), np.where(due, periods(len(h)), k) - 1


BY_HAND = {"rnn": (rnn, 1), "lstm": (lstm, 2), "gru": (gru, 1), "clockwork": (clockwork, 2)}


def loss_by_hand(step, model, weights, inputs, target, states):
    """Return the loss after some characters, read from the states of all layers."""
    for id in inputs:
        x, after = None, []
        for layer, state in enumerate(states):
            w = {symbol: weights.get(f"layer{layer}/{symbol}") for symbol in ("U", "V", "W", "b")}
            z = (w["W"][id] if x is None else x @ w["W"]) + w["b"]
            after.append(step(z, w, *state))
            x = after[-1][0]
        states = after
    logits = x @ weights["output/W"] + weights["output/b"]
    return np.log(np.sum(np.exp(logits))) - logits[target], states


def norms_by_hand(model, weights, window):
    """Return the norms by part of the state, (reach, rows) each, by complex steps."""
    step, fields = BY_HAND[model.cell]
    parts = {name: np.zeros((REACH, window.inputs.shape[1])) for name in ("layer0", "layer1")[: model.layers]}
    for row in range(window.inputs.shape[1]):
        first = int(np.flatnonzero(window.reset[:, row])[-1]) if window.reset[:, row].any() else 0
        inputs, target = window.inputs[:, row], window.targets[-1, row]
        for k in range(1, REACH + 1):
            zeros = [tuple(np.zeros(UNITS) for _ in range(fields)) for _ in range(model.layers)]
            _, states = loss_by_hand(step, model, weights, inputs[first : len(inputs) - k], target, zeros)
            for layer in range(model.layers):
                square = 0.0
                # The last field of a clockwork network is its counter.
                for field in range(1 if model.cell == "clockwork" else fields):
                    for unit in range(UNITS):
                        moved = [[value.astype(complex) for value in state] for state in states]
                        moved[layer][field][unit] += 1e-30j
                        loss, _ = loss_by_hand(step, model, weights, inputs[len(inputs) - k :], target, moved)
                        square += (loss.imag / 1e-30) ** 2
                parts[f"layer{layer}"][k - 1, row] = np.sqrt(square)
    return {**parts, ALL: np.sqrt(sum(part**2 for part in parts.values()))}


@pytest.mark.parametrize(
    ("cell", "layers", "engine"),
    [
        case("rnn", 1, "framework"),
        case("rnn", 1, "compiled"),
        case("lstm", 1, "framework", on_jax=True),
        case("lstm", 2, "compiled", on_jax=True),
        case("gru", 1, "framework"),
        case("gru", 1, "compiled"),
        case("clockwork", 1, "compiled"),
    ],
)
def test_norms_are_those_of_a_loop_by_hand(cell, layers, engine):
    model, window = ModelConfig(cell, layers, UNITS), window_of()
    weights = random_weights(model, VOCAB, scale=2.0)
    found, wanted = norms(model, weights, window, engine), norms_by_hand(model, weights, window)
    assert found.keys() == wanted.keys()
    for name, norm in wanted.items():
        np.testing.assert_allclose(found[name], norm, rtol=EXACT, err_msg=name)


def loss_by_numpy(model, weights, ids, target, fields):
    """Return the loss of one text by the forward pass over NumPy, and the state after it."""

    def scan(cell, zx, state, matrices, vectors, reset, emitted):
        outputs = []
        for one in zx:
            state = cell.step(ops, one, state, lambda vector, name: vector @ matrices[name], vectors)
            outputs.append([getattr(state, name) for name in emitted])
        return [np.stack(of) for of in zip(*outputs, strict=True)], state

    logits, after = forward(ops, model, weights, ids[:, None], from_named(model, fields), scan)
    return np.logaddexp.reduce(logits[-1, 0]) - logits[-1, 0, target], named(after)


@pytest.mark.parametrize(
    "model",
    [
        case(ModelConfig("lstm", 2, UNITS, 3, stack="grid")),
        case(ModelConfig("gru", 2, UNITS, stack="gated-feedback")),
        case(ModelConfig("slstm", 1, UNITS)),
        case(ModelConfig("clockwork", 2, UNITS, stack="residual", attention=2), on_jax=True),
    ],
    ids=lambda model: model.title,
)
def test_norms_of_stacks_and_attention_are_central_differences(model):
    window = window_of(rows=1)
    weights = random_weights(model, VOCAB, scale=2.0)
    found = norms(model, weights, window, "framework" if ON_JAX else "compiled")[ALL]
    inputs, target = window.inputs[:, 0], window.targets[-1, 0]
    for k in range(1, REACH + 1):
        fields = named(initial_states(np, model, 1, "float64"))
        _, fields = loss_by_numpy(model, weights, inputs[:-k], target, fields)
        square = 0.0
        for name in set(fields) - set(counters(model)):
            for place in np.ndindex(*fields[name].shape):
                ends = []
                for shift in (-1e-5, 1e-5):
                    moved = fields[name].copy()
                    moved[place] += shift
                    ends.append(loss_by_numpy(model, weights, inputs[-k:], target, {**fields, name: moved})[0])
                square += ((ends[1] - ends[0]) / 2e-5) ** 2
        np.testing.assert_allclose(found[k - 1, 0], np.sqrt(square), rtol=1e-5, err_msg=f"k = {k}")


def test_many_positions_are_the_same_in_groups(monkeypatch):
    model, window, told = ModelConfig("gru", 1, UNITS), window_of(rows=4), []
    weights = random_weights(model, VOCAB)
    whole = norms(model, weights, window, "framework")[ALL]
    monkeypatch.setattr("charrnn.training.gradient_flow.rows_at_once", lambda model, reach: 2)
    net = CharRNN(model, VOCAB, weights, dtype="float64")
    logs = BackThroughTime(net).norms(window, REACH, lambda *progress: told.append(progress))
    np.testing.assert_allclose(np.exp(logs[ALL]), whole, rtol=1e-12)
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})


def test_an_rnn_decays_by_the_spectral_radius_of_its_mean_jacobian():
    """The Jacobian of a step is J_t = diag(1 - h_t^2) U^T, so k steps multiply by a product of k of them.

    If all J_t were equal, the norm would change in the long run by the spectral radius of J in each step (Pascanu et
    al. 2013, 2.1). They differ, as h does. The growth of a product of different matrices is that of their mean, the
    closer the less they vary: if the entries 1 - h^2 have the mean m and the deviation d, by about d^2 / (2 m^2) of it.
    So the input is made small here: then h is small, and 1 - h^2 varies by a few percent. U is orthogonal times 0.9,
    so that all eigenvalues have about the same size: no other one hides the largest for many steps.
    """
    units, reach, rows = 32, 100, 16
    model, window = ModelConfig("rnn", 1, units), window_of(rows, reach, seed=3)
    weights = {name: value.astype(np.float64) for name, value in initial_weights(model, VOCAB, 1).items()}
    weights["layer0/W"] *= 0.2
    weights["layer0/U"] *= 0.9
    found = norms(model, weights, window, "framework", reach)[ALL]
    jacobians, slopes = [], []
    for row in range(rows):
        h = np.zeros(units)
        for id in window.inputs[:, row]:
            h = np.tanh(weights["layer0/W"][id] + h @ weights["layer0/U"] + weights["layer0/b"])
            slopes.append(1 - h**2)
            jacobians.append((1 - h**2)[:, None] * weights["layer0/U"].T)
    assert np.std(slopes) / np.mean(slopes) < 0.2
    radius = np.abs(np.linalg.eigvals(np.mean(jacobians, axis=0))).max()
    factor = figures({ALL: np.log(found)})["factor"]
    assert radius < 0.89
    assert factor == pytest.approx(radius, rel=0.1)
