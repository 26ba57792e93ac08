"""The cells' equations against the papers', written out here in plain float64 loops over single numbers."""

import math
from functools import partial

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.config import ModelConfig
from charrnn.inference import ops
from charrnn.network.parameters import initial_weights
from charrnn.network.states import initial_states

BATCH, INPUTS, UNITS, STEPS = 3, 4, 5, 6
# The gates whose products each square recurrent matrix holds, in order; by default U holds those of all blocks.
RECURRENT = {
    "lstm-depth-gated": {"U": "ifgo"},
    "lstm-mogrifier": {},
    "gru": {"U": "zr", "V": "g"},
    "mgu": {"U": "f", "V": "g"},
    "mlstm": {"U": "ifgo", "V": "m"},
    "mut1": {"U": "r", "V": "g"},
    "mut2": {"U": "r", "V": "g", "R": "z"},
    "mut3": {"U": "r", "V": "g", "R": "z"},
    "mingru": {},
    "lstm-full-gates": {"U": "ifog"},
}
Numbers = list[float]


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def product(matrix, vector) -> Numbers:
    """Return a matrix (units, n) times a vector, a number a unit."""
    return [sum(float(matrix[unit, k]) * float(vector[k]) for k in range(len(vector))) for unit in range(UNITS)]


def columns_times(matrix, vector, block, width=UNITS) -> Numbers:
    """Return a row vector times one block of the columns of a matrix, which is laid out as the cell has it."""
    columns = range(block * width, (block + 1) * width)
    return [sum(float(matrix[k, n]) * float(vector[k]) for k in range(len(vector))) for n in columns]


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
        heard = columns_times(p["R"], [value for gate in before for value in gate], "ifo".index(name))
        gates.append(each(sigma, total(affine(p, name, x, h), heard)))
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


def depth_gated_oracle(p, x, state):
    """Yao et al. 2015, equations 5 to 10; the memory of the layer below comes raw."""
    (h, c), lower = state, p["raw", "c"]

    def peeping(gate, memory):
        return each(sigma, total(affine(p, gate, x, h), times(p["vector", f"p_{gate}"], memory)))

    i, f = peeping("i", c), peeping("f", c)
    of_depth = times(p["vector", "p_d"], c), times(p["vector", "q"], lower)
    d = each(sigma, total(product(p["W", "d"], x), p["b", "d"], *of_depth))
    g = each(math.tanh, affine(p, "g", x, h))
    c = total(times(d, lower), times(f, c), times(i, g))
    return [times(peeping("o", c), each(math.tanh, c)), c]


def mogrifier_oracle(p, x, state):
    """Melis et al. 2020, equations 1 and 2 with low ranks, then an LSTM; x comes raw, as wide as the layer."""
    (h, c), x = state, p["raw", "h"]
    for n in (1, 2, 3, 4):
        heard = h if n % 2 else x
        narrow = columns_times(p[f"P{n}"], heard, 0, p[f"P{n}"].shape[1])
        factor = [2 * value for value in each(sigma, columns_times(p[f"Q{n}"], narrow, 0))]
        if n % 2:
            x = times(factor, x)
        else:
            h = times(factor, h)
    heard, b = [*x, *h], np.split(p["vector", "b"], 4)
    z = {gate: total(columns_times(p["U"], heard, place), b[place]) for place, gate in enumerate("ifgo")}
    i, f, o = (each(sigma, z[gate]) for gate in "ifo")
    c = total(times(f, c), times(i, each(math.tanh, z["g"])))
    return [times(o, each(math.tanh, c)), c]


def slstm_oracle(p, x, state):
    """Beck et al. 2024, equations 8 to 17, with one head and f = sigma."""
    h, c, n, m = state
    z = {gate: affine(p, gate, x, h) for gate in "ifgo"}
    log_f = [math.log(sigma(value)) for value in z["f"]]
    m_new = [max(a + b, d) for a, b, d in zip(log_f, m, z["i"], strict=True)]
    i = [math.exp(a - b) for a, b in zip(z["i"], m_new, strict=True)]
    f = [math.exp(a + b - d) for a, b, d in zip(log_f, m, m_new, strict=True)]
    c = total(times(f, c), times(i, each(math.tanh, z["g"])))
    n = total(times(f, n), i)
    return [times(each(sigma, z["o"]), [a / b for a, b in zip(c, n, strict=True)]), c, n, m_new]


def clockwork_oracle(p, x, state):
    """Koutnik et al. 2014, equations 1 and 3: five modules of one unit, of the periods 1, 2, 4, 8, 16."""
    (h, k), old = state, state[0]
    h, k = list(h), list(k)
    for unit in range(UNITS):
        if k[unit] > 0:
            k[unit] -= 1
            continue
        heard = sum(float(p["U", "h"][unit, other]) * float(old[other]) for other in range(UNITS) if other >= unit)
        z = sum(float(p["W", "h"][unit, n]) * float(x[n]) for n in range(INPUTS)) + float(p["b", "h"][unit])
        h[unit], k[unit] = math.tanh(z + heard), 2**unit - 1
    return [h, k]


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
    "lstm-depth-gated": depth_gated_oracle,
    "lstm-mogrifier": mogrifier_oracle,
    "mlstm": mlstm_oracle,
    "slstm": slstm_oracle,
    "clockwork": clockwork_oracle,
    "gru": gru_oracle,
    "gru-reset-after": gru_reset_after_oracle,
    "mgu": mgu_oracle,
    "mut1": partial(mut_oracle, number=1),
    "mut2": partial(mut_oracle, number=2),
    "mut3": partial(mut_oracle, number=3),
    "mingru": mingru_oracle,
}


def random_state(cell, rng) -> list[np.ndarray]:
    """Return a state such as the cell can come to: n is positive, k counts down from a period."""
    kinds = {
        "n": lambda: rng.uniform(0.5, 2, (BATCH, UNITS)),
        "k": lambda: rng.integers(0, 2 ** np.arange(UNITS), (BATCH, UNITS)).astype(float),
    }
    return [kinds.get(name, lambda: rng.normal(size=(BATCH, UNITS)))() for name in cell.state_fields]


def difference(name: str, order: str) -> float:
    """Return how far the cell, its blocks laid out in `order`, is from its oracle at most, over STEPS steps."""
    rng = np.random.default_rng(1)
    cell = CELLS[name]
    moved = dict(zip(blocks_of(cell), order, strict=True))
    recurrent = RECURRENT.get(name, {"U": cell.blocks})
    order = order if cell.blocks else ""
    p = {("W", gate): rng.normal(size=(UNITS, INPUTS)) for gate in cell.blocks}
    p |= {("b", gate): rng.normal(size=UNITS) for gate in cell.blocks}
    p |= {(matrix, gate): rng.normal(size=(UNITS, UNITS)) for matrix, gates in recurrent.items() for gate in gates}
    vectors = {**cell.vectors, **cell.zx_vectors}
    p |= {("vector", name): rng.normal(size=len(vector.starts) * UNITS) for name, vector in vectors.items()}
    matrices = {}
    for matrix, gates in recurrent.items():
        laid_out = [moved[gate] if moved[gate] in gates else gate for gate in gates]
        matrices[matrix] = np.concatenate([p[matrix, gate].T for gate in laid_out], axis=-1)
        assert cell.matrices[matrix].blocks == gates
    for matrix in sorted(set(cell.matrices) - set(recurrent)):
        value = p[matrix] = rng.normal(size=cell.matrices[matrix].shape(UNITS))
        blocks = dict(
            zip(cell.matrices[matrix].blocks, np.split(value, len(cell.matrices[matrix].blocks), 1), strict=True)
        )
        matrices[matrix] = np.concatenate([blocks.get(moved.get(gate), blocks[gate]) for gate in blocks], axis=-1)
    assert {matrix: value.shape for matrix, value in matrices.items()} == {
        name: matrix.shape(UNITS) for name, matrix in cell.matrices.items()
    }
    if cell.mask:
        matrices["U"] = np.where(cell.mask(UNITS), matrices["U"], 0.0)
    of_step = {name: p["vector", name] for name in cell.vectors}
    of_zx = {name: p["vector", name] for name in cell.zx_vectors}
    if order:
        w, of_zx["b"] = (np.concatenate([p[kind, gate].T for gate in order], axis=-1) for kind in "Wb")
    state = cell.state(*random_state(cell, rng))
    expected = [[list(field[row]) for field in state] for row in range(BATCH)]
    worst = 0.0
    for _ in range(STEPS):
        x = rng.normal(size=(BATCH, INPUTS))
        raw = {name: rng.normal(size=(BATCH, UNITS)) for name in cell.raw}
        projected = [cell.zx(ops, x @ w, of_zx)] if order else []
        zx = np.concatenate([*projected, *raw.values()], axis=-1)
        state = cell.step(ops, zx, state, lambda vector, name: vector @ matrices[name], of_step)
        for row in range(BATCH):
            p |= {("raw", name): value[row] for name, value in raw.items()}
            expected[row] = ORACLES[name](p, x[row], expected[row])
        for place, field in enumerate(state):
            assert field.shape == (BATCH, UNITS)
            worst = max(worst, float(np.abs(field - [row[place] for row in expected]).max()))
    return worst


def blocks_of(cell) -> str:
    """Return the blocks that can be exchanged: of the input or, where that comes raw, of U."""
    return cell.blocks or cell.matrices["U"].blocks


def test_every_cell_has_an_oracle():
    assert set(CELLS) == set(ORACLES)
    for name, cell in CELLS.items():
        assert cell.name == name and cell.paper
        assert len(cell.blocks) == len(set(cell.blocks)) == len(cell.bias)
        assert cell.state_fields[0] == "h"


@pytest.mark.parametrize("name", CELLS)
def test_equations_are_those_of_the_paper(name):
    assert difference(name, blocks_of(CELLS[name])) < 1e-12


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if len(blocks_of(cell)) > 1])
def test_any_two_blocks_exchanged_are_noticed(name):
    gates = blocks_of(CELLS[name])
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
        weights = initial_weights(ModelConfig(name, 2, UNITS), 4, 0)
        if cell.blocks:
            np.testing.assert_array_equal(weights["layer1/b"], np.repeat(cell.bias, UNITS))
        for matrix, (blocks, *_) in cell.matrices.items():
            for block in np.split(weights[f"layer1/{matrix}"], len(blocks), axis=1):
                small = block if block.shape[0] <= block.shape[1] else block.T
                np.testing.assert_allclose(small @ small.T, np.eye(len(small)), atol=1e-6)
                assert (block.shape == (UNITS, UNITS) and (block == np.eye(UNITS)).all()) == cell.identity
        for vector, (starts,) in {**cell.vectors, **cell.zx_vectors}.items():
            np.testing.assert_array_equal(weights[f"layer1/{vector}"], np.repeat(starts, UNITS))
    assert [name for name, cell in CELLS.items() if cell.identity] == ["irnn"]


def test_an_slstm_from_its_beginning_is_the_equations_without_their_safeguard():
    rng, cell, n = np.random.default_rng(3), CELLS["slstm"], 4
    u, zx = rng.normal(size=(n, 4 * n)), 2 * rng.normal(size=(30, 1, 4 * n))
    (state,) = initial_states(ops, ModelConfig("slstm", 1, n), 1, np.float64)
    h, c, norm = np.zeros((3, n))
    for now in zx:
        state = cell.step(ops, now, state, lambda vector, _: vector @ u, {})
        i, f, g, o = np.split(now[0] + h @ u, 4)
        f, o = 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o))
        c, norm = f * c + np.exp(i) * np.tanh(g), f * norm + np.exp(i)
        h = o * c / norm
        np.testing.assert_allclose(state.h[0], h, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponential_gates_neither_overflow_nor_divide_by_zero(dtype):
    cell = CELLS["slstm"]
    (state,) = initial_states(ops, ModelConfig("slstm", 1, 1), 1, dtype)
    with np.errstate(all="raise", under="ignore"):
        for i, f in ((-500, 0), (500, -500), (0, 500), (-500, 500), (1000, 1000), (-1000, -1000), (0, 0)):
            zx = np.array([[i, f, 2.0, 3.0]], dtype)
            state = cell.step(ops, zx, state, lambda vector, _: np.zeros((1, 4), dtype), {})
            assert np.isfinite(state).all() and 0 < float(state.h[0, 0]) < 1 and state.n > 0


def test_a_clockwork_network_moves_each_module_at_its_own_pace():
    cell, units = CELLS["clockwork"], 16
    rng = np.random.default_rng(0)
    u = np.where(cell.mask(units), rng.normal(size=(units, units)), 0)
    (state,) = initial_states(ops, ModelConfig("clockwork", 1, units), 1, np.float64)
    for t in range(300):
        before = state.h
        state = cell.step(ops, rng.normal(size=(1, units)), state, lambda vector, _: vector @ u, {})
        moved = (state.h != before)[0]
        assert [bool(pair.all()) for pair in moved.reshape(8, 2)] == [t % 2**module == 0 for module in range(8)]
        assert all(pair.all() == pair.any() for pair in moved.reshape(8, 2))
