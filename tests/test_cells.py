"""The cells' equations against the papers', written out here in plain float64 loops over single numbers."""

import math
from functools import partial

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import CELLS as NAMES
from charrnn.config import ModelConfig
from charrnn.network import initial_weights
from charrnn.runtime import ops

BATCH, INPUTS, UNITS, STEPS = 3, 4, 5, 6
# The gates whose products each recurrent matrix holds, in order; by default U holds those of all blocks.
RECURRENT = {
    "gru": {"U": "zr", "V": "g"},
    "mgu": {"U": "f", "V": "g"},
    "mlstm": {"U": "ifgo", "V": "m"},
    "mut1": {"U": "r", "V": "g"},
    "mut2": {"U": "r", "V": "g", "R": "z"},
    "mut3": {"U": "r", "V": "g", "R": "z"},
    "mingru": {},
    "lstm-full-gates": {"U": "ifog", "R_i": "ifo", "R_f": "ifo", "R_o": "ifo"},
}
Numbers = list[float]


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def product(matrix, vector) -> Numbers:
    """Return a matrix (units, n) times a vector, a number a unit."""
    return [sum(float(matrix[unit, k]) * float(vector[k]) for k in range(len(vector))) for unit in range(UNITS)]


def total(*terms) -> Numbers:
    return [sum(float(term[unit]) for term in terms) for unit in range(UNITS)]


def times(*factors) -> Numbers:
    return [math.prod(float(factor[unit]) for factor in factors) for unit in range(UNITS)]


def each(function, values) -> Numbers:
    return [function(float(value)) for value in values]


def affine(p, gate, x, h) -> Numbers:
    """Return W x + U h + b of one gate; p holds W (units, inputs), U (units, units) and b by gate."""
    recurrent = next(p[key] for key in (("U", gate), ("V", gate)) if key in p)
    return total(product(p["W", gate], x), product(recurrent, h), p["b", gate])


def rest(gate) -> Numbers:
    """Return 1 - gate."""
    return [1 - value for value in gate]


def rnn_oracle(p, x, state):
    """Elman 1990."""
    return [each(math.tanh, affine(p, "h", x, state[0]))]


def irnn_oracle(p, x, state):
    """Le, Jaitly & Hinton 2015."""
    return [each(lambda a: max(a, 0.0), affine(p, "h", x, state[0]))]


def lstm_like(p, x, state, without="", squash_input=math.tanh, squash_output=math.tanh, coupled=False, peephole=False):
    """Greff et al. 2015, equations of section 2: an LSTM without the gates in `without`, which are 1 then."""
    h, c = state

    def gate(name, memory):
        if name in without:
            return [1.0] * UNITS
        z = affine(p, name, x, h)
        return each(sigma, total(z, times(p["vector", f"p_{name}"], memory)) if peephole else z)

    f = gate("f", c)
    i = rest(f) if coupled else gate("i", c)
    c = total(times(f, c), times(i, each(squash_input, affine(p, "g", x, h))))
    return [times(gate("o", c), each(squash_output, c)), c]


def full_gates_oracle(p, x, state):
    """Greff et al. 2015, appendix: the gates hear all gates of the step before."""
    h, c, *before = state
    gates = []
    for name in "ifo":
        heard = [product(p[f"R_{other}", name], value) for other, value in zip("ifo", before, strict=True)]
        gates.append(each(sigma, total(affine(p, name, x, h), *heard)))
    i, f, o = gates
    c = total(times(f, c), times(i, each(math.tanh, affine(p, "g", x, h))))
    return [times(o, each(math.tanh, c)), c, i, f, o]


def normalized(values) -> Numbers:
    """Ba et al. 2016, eq. 2 and 3, with the small number that keeps it from dividing by zero."""
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values) + 1e-5)
    return [(value - mean) / deviation for value in values]


def layernorm_oracle(p, x, state):
    """Ba et al. 2016, equations 20 to 22; the gains of the four blocks are one vector, in the order i, f, g, o."""
    h, c = state
    of_x = normalized([value for gate in "ifgo" for value in product(p["W", gate], x)])
    of_h = normalized([value for gate in "ifgo" for value in product(p["U", gate], h)])
    blocks = {}
    for place, gate in enumerate("ifgo"):
        span = slice(place * UNITS, (place + 1) * UNITS)
        gained = times(p["vector", "a_x"][span], of_x[span]), times(p["vector", "a_h"][span], of_h[span])
        blocks[gate] = total(*gained, p["b", gate])
    i, f, o = (each(sigma, blocks[gate]) for gate in "ifo")
    c = total(times(f, c), times(i, each(math.tanh, blocks["g"])))
    return [times(o, each(math.tanh, total(times(p["vector", "a_c"], normalized(c)), p["vector", "d"]))), c]


def mut_oracle(p, x, state, number):
    """Jozefowicz et al. 2015, the mutations of section 4.2, where x is projected."""
    (h,) = state
    heard_by_z = {1: [0.0] * UNITS, 2: h, 3: each(math.tanh, h)}[number]
    zx = {gate: total(product(p["W", gate], x), p["b", gate]) for gate in "zrg"}
    z = each(sigma, total(zx["z"], product(p["R", "z"], heard_by_z)) if number > 1 else zx["z"])
    r = each(sigma, total(zx["r"], product(p["U", "r"], h)))
    from_x = total(each(math.tanh, zx["g"]), p["vector", "d"]) if number == 1 else zx["g"]
    g = each(math.tanh, total(product(p["V", "g"], times(r, h)), from_x))
    return [total(times(z, g), times(rest(z), h))]


def mlstm_oracle(p, x, state):
    """Krause et al. 2016, equations 12 to 18, with a bias in m."""
    h, c = state
    m = times(total(product(p["W", "m"], x), p["b", "m"]), product(p["V", "m"], h))
    i, f, o = (each(sigma, affine(p, gate, x, m)) for gate in "ifo")
    c = total(times(f, c), times(i, each(math.tanh, affine(p, "g", x, m))))
    return [times(o, each(math.tanh, c)), c]


def gru_oracle(p, x, state):
    """Cho et al. 2014, equations 5 to 8."""
    (h,) = state
    z, r = (each(sigma, affine(p, gate, x, h)) for gate in "zr")
    candidate = each(math.tanh, affine(p, "g", x, times(r, h)))
    return [total(times(z, h), times(rest(z), candidate))]


def gru_reset_after_oracle(p, x, state):
    """The GRU of cuDNN's documentation."""
    (h,) = state
    z, r = (each(sigma, affine(p, gate, x, h)) for gate in "zr")
    heard = times(r, total(product(p["U", "g"], h), p["vector", "c"]))
    candidate = each(math.tanh, total(product(p["W", "g"], x), p["b", "g"], heard))
    return [total(times(z, h), times(rest(z), candidate))]


def mgu_oracle(p, x, state):
    """Zhou et al. 2016, equations 7."""
    (h,) = state
    f = each(sigma, affine(p, "f", x, h))
    return [total(times(rest(f), h), times(f, each(math.tanh, affine(p, "g", x, times(f, h)))))]


def mingru_oracle(p, x, state):
    """Feng et al. 2024, section 3.1.2."""
    z, g = (total(product(p["W", gate], x), p["b", gate]) for gate in "zg")
    z = each(sigma, z)
    return [total(times(rest(z), state[0]), times(z, g))]


ORACLES = {
    "rnn": rnn_oracle,
    "irnn": irnn_oracle,
    "lstm": lstm_like,
    "lstm-1997": partial(lstm_like, without="f"),
    "lstm-peephole": partial(lstm_like, peephole=True),
    "lstm-coupled": partial(lstm_like, coupled=True),
    "lstm-no-input-gate": partial(lstm_like, without="i"),
    "lstm-no-output-gate": partial(lstm_like, without="o"),
    "lstm-no-input-activation": partial(lstm_like, squash_input=lambda a: a),
    "lstm-no-output-activation": partial(lstm_like, squash_output=lambda a: a),
    "lstm-full-gates": full_gates_oracle,
    "lstm-layernorm": layernorm_oracle,
    "mlstm": mlstm_oracle,
    "gru": gru_oracle,
    "gru-reset-after": gru_reset_after_oracle,
    "mgu": mgu_oracle,
    "mut1": partial(mut_oracle, number=1),
    "mut2": partial(mut_oracle, number=2),
    "mut3": partial(mut_oracle, number=3),
    "mingru": mingru_oracle,
}


def difference(name: str, order: str) -> float:
    """Return how far the cell, its blocks laid out in `order`, is from its oracle at most, over STEPS steps."""
    rng = np.random.default_rng(1)
    cell = CELLS[name]
    moved = dict(zip(cell.blocks, order, strict=True))
    recurrent = RECURRENT.get(name, {"U": cell.blocks})
    p = {("W", gate): rng.normal(size=(UNITS, INPUTS)) for gate in cell.blocks}
    p |= {("b", gate): rng.normal(size=UNITS) for gate in cell.blocks}
    p |= {(matrix, gate): rng.normal(size=(UNITS, UNITS)) for matrix, gates in recurrent.items() for gate in gates}
    p |= {("vector", name): rng.normal(size=vector.blocks * UNITS) for name, vector in cell.vectors.items()}
    w, b = (np.concatenate([p[kind, gate].T for gate in order], axis=-1) for kind in "Wb")
    matrices = {}
    for matrix, gates in recurrent.items():
        laid_out = [moved[gate] if moved[gate] in gates else gate for gate in gates]
        matrices[matrix] = np.concatenate([p[matrix, gate].T for gate in laid_out], axis=-1)
    assert {matrix: value.shape for matrix, value in matrices.items()} == {
        matrix: (UNITS, blocks * UNITS) for matrix, blocks in cell.matrices.items()
    }
    vectors = {name: p["vector", name] for name in cell.vectors}
    if cell.own_bias:
        vectors, b = {**vectors, "b": b}, 0.0
    state = cell.state(*(rng.normal(size=(BATCH, UNITS)) for _ in cell.state_fields))
    expected = [[list(field[row]) for field in state] for row in range(BATCH)]
    worst = 0.0
    for _ in range(STEPS):
        x = rng.normal(size=(BATCH, INPUTS))
        state = cell.step(ops, x @ w + b, state, lambda vector, name: vector @ matrices[name], vectors)
        expected = [ORACLES[name](p, x[row], expected[row]) for row in range(BATCH)]
        for place, field in enumerate(state):
            assert field.shape == (BATCH, UNITS)
            worst = max(worst, float(np.abs(field - [row[place] for row in expected]).max()))
    return worst


def test_every_cell_has_an_oracle():
    assert set(CELLS) == set(NAMES) == set(ORACLES)
    for name, cell in CELLS.items():
        assert cell.name == name and cell.paper
        assert cell.gates == len(set(cell.blocks)) == len(cell.bias)
        assert cell.state_fields[0] == "h"


@pytest.mark.parametrize("name", CELLS)
def test_equations_are_those_of_the_paper(name):
    assert difference(name, CELLS[name].blocks) < 1e-12


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if cell.gates > 1])
def test_any_two_blocks_exchanged_are_noticed(name):
    gates = CELLS[name].blocks
    for a in range(len(gates)):
        for b in range(a):
            order = list(gates)
            order[a], order[b] = order[b], order[a]
            assert difference(name, "".join(order)) > 0.05


def test_the_forget_gate_alone_starts_open():
    assert CELLS["lstm"].bias == (0.0, 1.0, 0.0, 0.0)
    for cell in CELLS.values():
        memory = "c" in cell.state_fields
        assert [bias == 1.0 for bias in cell.bias] == [memory and block == "f" for block in cell.blocks]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_neither_overflows_nor_loses_digits(dtype):
    x = np.array([-1e30, -200, -3, -0.5, 0, 1e-3, 2, 50, 1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        y = ops.sigmoid(x)
    expected = [0.0, 0.0, sigma(-3), sigma(-0.5), 0.5, sigma(float(x[5])), sigma(2), 1.0, 1.0]
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, atol=4 * np.finfo(dtype).eps)


def test_what_cells_start_as():
    for name, cell in CELLS.items():
        weights = initial_weights(ModelConfig(name, 1, UNITS), 4, 0)
        np.testing.assert_array_equal(weights["layer0/b"], np.repeat(cell.bias, UNITS))
        for matrix, blocks in cell.matrices.items():
            for block in np.split(weights[f"layer0/{matrix}"], blocks, axis=1):
                np.testing.assert_allclose(block @ block.T, np.eye(UNITS), atol=1e-6)
                assert (block == np.eye(UNITS)).all() == cell.identity
        for vector, start in cell.vectors.items():
            assert (weights[f"layer0/{vector}"] == np.full(start.blocks * UNITS, start.start)).all()
    assert [name for name, cell in CELLS.items() if cell.identity] == ["irnn"]
