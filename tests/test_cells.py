"""The cells' equations against the papers', written out here in plain float64 loops over single numbers."""

import math

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import CELLS as NAMES
from charrnn.runtime import ops

BATCH, INPUTS, UNITS, STEPS = 3, 4, 5, 6
# The gates of each cell in the order of its blocks, as its docstring gives them.
GATES = {"rnn": "h", "lstm": "ifgo", "gru": "zrg"}


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def affine(p, gate, x, h) -> list[float]:
    """Return W x + U h + b of one gate, a number a unit; p holds W (units, inputs), U (units, units) and b by gate."""
    w, u, b = p["W", gate], p["U", gate], p["b", gate]
    values = []
    for unit in range(UNITS):
        total = float(b[unit])
        for k in range(INPUTS):
            total += float(w[unit, k]) * float(x[k])
        for k in range(UNITS):
            total += float(u[unit, k]) * float(h[k])
        values.append(total)
    return values


def rnn_oracle(p, x, state):
    """Elman 1990."""
    return [[math.tanh(a) for a in affine(p, "h", x, state[0])]]


def lstm_oracle(p, x, state):
    """Gers, Schmidhuber & Cummins 2000."""
    h, c = state
    i = [sigma(a) for a in affine(p, "i", x, h)]
    f = [sigma(a) for a in affine(p, "f", x, h)]
    g = [math.tanh(a) for a in affine(p, "g", x, h)]
    o = [sigma(a) for a in affine(p, "o", x, h)]
    new_c = [f[k] * c[k] + i[k] * g[k] for k in range(UNITS)]
    return [[o[k] * math.tanh(new_c[k]) for k in range(UNITS)], new_c]


def gru_oracle(p, x, state):
    """Cho et al. 2014, equations 5 to 8."""
    (h,) = state
    z = [sigma(a) for a in affine(p, "z", x, h)]
    r = [sigma(a) for a in affine(p, "r", x, h)]
    candidate = [math.tanh(a) for a in affine(p, "g", x, [r[k] * h[k] for k in range(UNITS)])]
    return [[z[k] * h[k] + (1 - z[k]) * candidate[k] for k in range(UNITS)]]


ORACLES = {"rnn": rnn_oracle, "lstm": lstm_oracle, "gru": gru_oracle}


def difference(name: str, order: str) -> float:
    """Return how far the cell, its blocks laid out in `order`, is from its oracle at most, over STEPS steps."""
    rng = np.random.default_rng(1)
    cell = CELLS[name]
    sizes = {"W": (UNITS, INPUTS), "U": (UNITS, UNITS), "b": (UNITS,)}
    p = {(kind, gate): rng.normal(size=size) for gate in GATES[name] for kind, size in sizes.items()}
    w, u, b = (np.concatenate([p[kind, gate].T for gate in order], axis=-1) for kind in sizes)
    matrices, low = {}, 0
    for matrix, blocks in cell.matrices.items():
        matrices[matrix] = u[:, low : low + blocks * UNITS]
        low += blocks * UNITS
    assert low == u.shape[1]
    state = cell.state(*(rng.normal(size=(BATCH, UNITS)) for _ in cell.state_fields))
    expected = [[list(field[row]) for field in state] for row in range(BATCH)]
    worst = 0.0
    for _ in range(STEPS):
        x = rng.normal(size=(BATCH, INPUTS))
        state = cell.step(ops, x @ w + b, state, lambda vector, name: vector @ matrices[name], {})
        expected = [ORACLES[name](p, x[row], expected[row]) for row in range(BATCH)]
        for place, field in enumerate(state):
            assert field.shape == (BATCH, UNITS)
            worst = max(worst, float(np.abs(field - [row[place] for row in expected]).max()))
    return worst


def test_every_cell_has_an_oracle():
    assert set(CELLS) == set(NAMES) == set(ORACLES) == set(GATES)
    for name, cell in CELLS.items():
        assert cell.name == name and cell.paper
        assert cell.gates == len(GATES[name]) == len(cell.bias)
        assert cell.state_fields[0] == "h"


@pytest.mark.parametrize("name", CELLS)
def test_equations_are_those_of_the_paper(name):
    assert difference(name, GATES[name]) < 1e-12


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_any_two_blocks_exchanged_are_noticed(name):
    gates = GATES[name]
    for a in range(len(gates)):
        for b in range(a):
            order = list(gates)
            order[a], order[b] = order[b], order[a]
            assert difference(name, "".join(order)) > 0.05


def test_the_forget_gate_alone_starts_open():
    assert CELLS["lstm"].bias == (0.0, 1.0, 0.0, 0.0)
    assert not any(CELLS["rnn"].bias + CELLS["gru"].bias)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_neither_overflows_nor_loses_digits(dtype):
    x = np.array([-1e30, -200, -3, -0.5, 0, 1e-3, 2, 50, 1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        y = ops.sigmoid(x)
    expected = [0.0, 0.0, sigma(-3), sigma(-0.5), 0.5, sigma(float(x[5])), sigma(2), 1.0, 1.0]
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, atol=4 * np.finfo(dtype).eps)
