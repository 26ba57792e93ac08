"""Stacks against the papers' equations, written out here as loops over layers and characters in float64."""

from functools import cache

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import STACKS, ModelConfig
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.parameters import initial_weights, parameter_shapes
from charrnn.network.stacks import fits, layers_of
from charrnn.network.states import initial_states
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.engine import xp
from charrnn.training.network import CharRNN
from support.commands import charrnn_in, several
from support.models import random_weights

pytestmark = pytest.mark.trains

VOCAB, LAYERS, UNITS, STEPS, BATCH = 5, 3, 4, 7, 2


def sigma(x):
    return 1 / (1 + np.exp(-x))


def lstm(z, c):
    i, f, g, o = np.split(z, 4, axis=-1)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(c), c


def zeros(*more):
    return np.zeros((*more, BATCH, UNITS))


def residual(p, ids, masks):
    """Wu et al. 2016, equation 6: x^{i+1} = h^i + x^i, from the second layer on."""
    h, c = zeros(LAYERS), zeros(LAYERS)
    for x, mask in zip(ids, masks, strict=True):
        for n in range(LAYERS):
            z = (x @ p[f"layer{n}/W"] if n else p["layer0/W"][x]) + p[f"layer{n}/b"]
            h[n], c[n] = lstm(z + h[n] @ p[f"layer{n}/U"], c[n])
            x = h[n] * mask[n] + (x if n else 0)
        yield x


def grid(p, ids, masks):
    """Kalchbrenner et al. 2015, section 3.1: both transforms of a block hear H, both hidden vectors that come in."""
    h_time, m_time = zeros(LAYERS), zeros(LAYERS)
    for row, mask in zip(ids, masks, strict=True):
        h_depth, m_depth = np.split(p["input/W"][row], 2, axis=-1)
        for n in range(LAYERS):
            w = {name.removeprefix(f"layer{n}/"): value for name, value in p.items() if name.startswith(f"layer{n}/")}
            of_time = lstm(h_depth @ w["W"] + h_time[n] @ w["U"] + w["b"], m_time[n])
            of_depth = lstm(h_depth @ w["U_depth"] + h_time[n] @ w["W_depth"] + w["b_depth"], m_depth)
            (h_time[n], m_time[n]), (h_depth, m_depth) = of_time, of_depth
            h_depth = h_depth * mask[n]
        yield h_depth


def gates_of(p, n, x, h):
    """Chung et al. 2015, equation 8: return the gates s of layer n, (batch, layers)."""
    logits = (p["layer0/W"][x][:, -LAYERS:] if n == 0 else x @ p[f"layer0/w_{n}"]) + np.hstack(h) @ p[f"layer0/u_{n}"]
    return sigma(logits)


def heard(p, n, s, h, own, matrix="U"):
    """Return the sum over all layers of s * U h, that of layer n itself being s * own."""
    return sum(s[:, [i]] * (own if i == n else h[i] @ p[f"layer0/{matrix}_{i}_{n}"]) for i in range(LAYERS))


def into(p, n, x, gates):
    """Return W x + b of layer n; of the lowest x is a row of ids."""
    if n:
        return x @ p[f"layer0/W_{n}"] + p[f"layer0/b_{n}"]
    return p["layer0/W"][x][:, : gates * UNITS] + p["layer0/b"]


def feedback_rnn(p, ids, masks):
    h = zeros(LAYERS)
    for x, mask in zip(ids, masks, strict=True):
        before = h.copy()
        for n in range(LAYERS):
            s = gates_of(p, n, x, before)
            h[n] = np.tanh(into(p, n, x, 1) + heard(p, n, s, before, before[n] @ p[f"layer0/U_{n}"]))
            x = h[n] * mask[n]
        yield x


def feedback_lstm(p, ids, masks):
    h, c = zeros(LAYERS), zeros(LAYERS)
    for x, mask in zip(ids, masks, strict=True):
        before = h.copy()
        for n in range(LAYERS):
            s, own = gates_of(p, n, x, before), np.split(before[n] @ p[f"layer0/U_{n}"], 4, axis=-1)
            own[2] = heard(p, n, s, before, own[2])
            h[n], c[n] = lstm(into(p, n, x, 4) + np.hstack(own), c[n])
            x = h[n] * mask[n]
        yield x


def feedback_gru(p, ids, masks):
    h = zeros(LAYERS)
    for x, mask in zip(ids, masks, strict=True):
        before = h.copy()
        for n in range(LAYERS):
            s, zx = gates_of(p, n, x, before), into(p, n, x, 3)
            z, r = np.split(sigma(zx[:, : 2 * UNITS] + before[n] @ p[f"layer0/U_{n}"]), 2, axis=-1)
            own = (r * before[n]) @ p[f"layer0/V_{n}"]
            g = np.tanh(zx[:, 2 * UNITS :] + heard(p, n, s, before, own, "V"))
            h[n] = z * before[n] + (1 - z) * g
            x = h[n] * mask[n]
        yield x


ORACLES = {
    ("lstm", "residual"): residual,
    ("lstm", "grid"): grid,
    ("rnn", "gated-feedback"): feedback_rnn,
    ("lstm", "gated-feedback"): feedback_lstm,
    ("gru", "gated-feedback"): feedback_gru,
}


@cache
def problem(cell, stack, dropout) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, ids and masks, and what the network makes of them: its logits."""
    model = ModelConfig(cell, LAYERS, UNITS, stack=stack)
    weights = random_weights(model, VOCAB, scale=3.0)
    rng = np.random.default_rng(1)
    ids = rng.integers(0, VOCAB + 1, (STEPS, BATCH)).astype(np.int32)
    masks = (
        rng.integers(0, 2, (STEPS, LAYERS, BATCH, UNITS)) * 2.0 if dropout else np.ones((STEPS, LAYERS, BATCH, UNITS))
    )
    net = CharRNN(model, VOCAB, weights, "float64")
    mask = (lambda layer, x: x * masks[:, layer]) if dropout else None
    logits, _ = net.call(ids, initial_states(xp, model, BATCH, "float64"), mask)
    return dict(weights), ids, masks, np.array(logits)


def difference(cell, stack, dropout=False, change=lambda weights: None) -> float:
    """Return how far the logits of the network are from its oracle's; `change` spoils the oracle's weights."""
    weights, ids, masks, logits = problem(cell, stack, dropout)
    weights = dict(weights)
    change(weights)
    tops = np.stack(list(ORACLES[cell, stack](weights, ids, masks)))
    return float(np.abs(logits - (tops @ weights["output/W"] + weights["output/b"])).max())


@pytest.mark.parametrize("dropout", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("cell, stack", ORACLES)
def test_stacks_are_those_of_the_papers(cell, stack, dropout):
    assert difference(cell, stack, dropout) < 1e-12


@pytest.mark.parametrize("cell, stack", ORACLES)
def test_any_weight_that_is_another_is_noticed(cell, stack):
    for name in parameter_shapes(ModelConfig(cell, LAYERS, UNITS, stack=stack), VOCAB):

        def spoil(weights, name=name):
            weights[name] = np.roll(weights[name], 1, axis=-1)

        assert difference(cell, stack, True, spoil) > 1e-4, name


def test_which_cells_can_be_stacked_so():
    cannot = {stack: {name for name, cell in CELLS.items() if not fits(cell, stack)} for stack in STACKS}
    takes_more = {"lstm-depth-gated", "lstm-mogrifier", "clockwork"}
    assert cannot == {
        "plain": set(),
        "residual": set(),
        "grid": takes_more | {"slstm"},
        "gated-feedback": takes_more | {"mingru", "irnn"},
    }
    for stack, names in cannot.items():
        for name, cell in CELLS.items():
            if name not in names:
                initial_weights(ModelConfig(name, 2, 3, stack=stack), 4, 0)
            else:
                with pytest.raises(CharRNNError, match=f"`stack='{stack}'` does not work with `cell='{cell.name}'`"):
                    layers_of(ModelConfig(name, stack=stack))


@pytest.mark.parametrize("stack", STACKS)
def test_fresh_networks_neither_explode_nor_die(stack):
    ids = np.random.default_rng(0).integers(0, VOCAB, (200, 1))
    vocab = Vocabulary.of("abcde")
    for name, cell in CELLS.items():
        if fits(cell, stack) and name != "irnn":
            model = ModelConfig(name, LAYERS, 32, stack=stack)
            logits = Stream(Model(model, vocab, initial_weights(model, VOCAB, 0))).feed(ids)
            assert 1e-4 < logits[-1].std() < 30, name


def test_what_the_matrices_of_stacks_start_as():
    weights = initial_weights(ModelConfig("lstm", 2, 32, stack="gated-feedback"), VOCAB, 0)
    for block in [*np.split(weights["layer0/U_1"], 4, axis=1), weights["layer0/U_0_1"]]:
        np.testing.assert_allclose(block @ block.T, np.eye(32), atol=1e-6)
    for name, inputs in (("W_1", 32), ("w_1", 32), ("u_0", 64)):
        limit = np.sqrt(3 / inputs)
        assert 0.9 * limit < np.abs(weights[f"layer0/{name}"]).max() <= limit
    weights = initial_weights(ModelConfig("irnn", 2, 32, stack="grid"), VOCAB, 0)
    assert (weights["layer1/U"] == np.eye(32)).all() and (weights["layer1/U_depth"] != np.eye(32)).any()
    assert np.abs(weights["layer1/W_depth"]).max() <= np.sqrt(3 / 32)


def test_depth_gates_need_a_layer_below():
    with pytest.raises(CharRNNError, match="it needs `layers=2` or more"):
        layers_of(ModelConfig("lstm-depth-gated", 1))


def test_a_stack_is_trained_sampled_and_refused_from_the_command_line(tmp_path):
    (tmp_path / "text.txt").write_text("How much wood would a woodchuck chuck?\n" * 30)
    options = ("--cell", "gru", "--units", 8, "--batch", 4, "--seq", 8, "--steps", 3)
    said = several(
        tmp_path,
        ("trained", "", "train", "text.txt", *options, "--stack", "gated-feedback"),
        ("resumed", "", "train", "--resume", "text", "--steps", 2),
        ("refused", "", "train", "text.txt", "--cell", "mingru", "--stack", "gated-feedback"),
        ("mistyped", "", "train", "text.txt", "--stack", "grd"),
    )
    assert [code for _, code in said.values()] == [0, 0, 1, 1], said
    assert "gated-feedback" in said["trained"][0]
    assert "--stack gated-feedback does not work with --cell mingru. It works with" in said["refused"][0]
    assert "Did you mean grid?" in said["mistyped"][0]
    assert len(charrnn_in(tmp_path, "sample", "text", "--length", 20).stdout) == 20
    assert charrnn_in(tmp_path, "verify", "text").returncode == 0
