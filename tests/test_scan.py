"""The fast scan: its values against stepping, its gradients against plain autodiff and central differences."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from charrnn.cells import CELLS, Cell, Hidden, Vector
from charrnn.cells import HiddenAndMemory as Two
from charrnn.runtime import ops as numpy_ops
from charrnn.training.gradcheck import relative_error
from charrnn.training.layers import RecurrentCell
from charrnn.training.scan import UNROLL, scan

BATCH, UNITS = 2, 3
ACCURATE = 1e-6


def peephole(xp, zx, state, dot, w):
    """Vectors on both sides of products, on the old state and on the new."""
    i, f, o = xp.split(zx + dot(state.h, "U"), 3, axis=-1)
    c = xp.sigmoid(f + w["f"] * state.c) * state.c + xp.tanh(i) * w["gain"]
    return Two(xp.sigmoid(o + c * w["o"]) * xp.tanh(c), c)


def multiplicative(xp, zx, state, dot, w):
    """Products whose values are needed outside a sum, one matrix used twice, a product of a product."""
    m = dot(state.h, "U") * dot(state.c, "V")
    p = dot(m, "V")
    return Two(xp.tanh(zx + p) + 0.1 * p * p, xp.tanh(m) * zx)


def delay(xp, zx, state, dot, w):
    """The old output is remembered as it is; the new one is used twice."""
    h = zx + dot(state.h + state.c, "U")
    return Two(0.3 * h, state.h)


def exchange(xp, zx, state, dot, w):
    """The state's fields change places; one is a product as it is; a product and an activation lead nowhere."""
    dot(xp.tanh(zx), "V")
    return Two(state.c, dot(state.h, "U") + 0.5 * zx)


def same_twice(xp, zx, state, dot, w):
    """Both fields are one activation; no sum of the input and a product is simply that."""
    h = xp.tanh(0.5 * zx + dot(state.c, "U") + state.h)
    return Two(h, h)


def no_product(xp, zx, state, dot, w):
    """As in a minimal GRU: nothing recurrent but arithmetic."""
    z, g = xp.split(zx, 2, axis=-1)
    z = xp.sigmoid(z + w["p"])
    return Hidden(z * state.h + (1 - z) * g)


TOYS = {
    "peephole": Cell("peephole", "", peephole, Two, "ifo", {"U": 3}, dict.fromkeys(("f", "o", "gain"), Vector())),
    "multiplicative": Cell("multiplicative", "", multiplicative, Two, "a", {"U": 1, "V": 1}),
    "delay": Cell("delay", "", delay, Two, "a", {"U": 1}),
    "exchange": Cell("exchange", "", exchange, Two, "a", {"U": 1, "V": 1}),
    "same_twice": Cell("same_twice", "", same_twice, Two, "a", {"U": 1}),
    "no_product": Cell("no_product", "", no_product, Hidden, "zg", {}, {"p": Vector()}),
}
ALL = {**CELLS, **TOYS}


class Problem:
    """A scalar function of everything that a scan takes: random weights of all outputs and of the last state."""

    def __init__(self, cell: Cell, steps: int, with_reset: bool, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.cell, self.steps = cell, steps
        self.values = {"zx": rng.normal(size=(steps, BATCH, cell.gates * UNITS))}
        self.values |= {f"state {name}": rng.normal(size=(BATCH, UNITS)) for name in cell.state_fields}
        self.values |= {n: rng.normal(0, 0.6, (UNITS, blocks * UNITS)) for n, blocks in cell.matrices.items()}
        self.values |= {name: rng.normal(size=blocks * UNITS) for name, blocks in cell.widths.items()}
        self.reset = None
        if with_reset:
            self.reset = rng.random((steps, BATCH)) < 0.3
            # One row begins anew at the very first step, the other does not; one does so in the middle.
            self.reset[0] = [True, False]
            self.reset[steps // 2, 1] = steps > 1
        self.of_outputs = rng.normal(size=(steps, BATCH, UNITS))
        self.of_last = [rng.normal(size=(BATCH, UNITS)) for _ in cell.state_fields]

    def parts(self, values: dict[str, Any]) -> tuple[Any, Any, dict, dict]:
        state = self.cell.state(*(values[f"state {name}"] for name in self.cell.state_fields))
        matrices = {name: values[name] for name in self.cell.matrices}
        return values["zx"], state, matrices, {name: values[name] for name in self.cell.widths}

    def unrolled(self, xp: Any, matmul: Any, stack: Any, values: dict[str, Any], tensor: Any) -> tuple[Any, Any]:
        """Return outputs and last state of a plain loop over the equations."""
        zx, state, matrices, vectors = self.parts(values)
        outputs = []
        for t in range(self.steps):
            if self.reset is not None:
                keep = tensor(~self.reset[t][:, None] * 1.0)
                state = self.cell.state(*(value * keep for value in state))
            state = self.cell.step(xp, zx[t], state, lambda vector, name: matmul(vector, matrices[name]), vectors)
            outputs.append(state[0])
        return stack(outputs), state

    def by_numpy(self, values: dict[str, np.ndarray]) -> tuple[np.ndarray, Any]:
        return self.unrolled(numpy_ops, np.matmul, np.stack, values, np.asarray)

    def by_keras(self, values: dict[str, Any]) -> tuple[Any, Any]:
        return self.unrolled(ops, ops.matmul, ops.stack, values, tf.constant)

    def by_scan(self, values: dict[str, Any]) -> tuple[Any, Any]:
        zx, state, matrices, vectors = self.parts(values)
        reset = None if self.reset is None else tf.constant(self.reset)
        return scan(self.cell, zx, state, matrices, vectors, reset)

    def scalar(self, total: Any, outputs: Any, last: Any) -> Any:
        return total(outputs * self.of_outputs) + sum(total(a * b) for a, b in zip(last, self.of_last, strict=True))

    def gradients(self, run: Any, compiled: bool = False) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in self.values.items()}

        def differentiate(tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = self.scalar(tf.reduce_sum, *run(tensors))
            return tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        found = (tf.function(differentiate, autograph=False) if compiled else differentiate)(tensors)
        return {name: tf.convert_to_tensor(gradient).numpy() for name, gradient in found.items()}

    def central_differences(self) -> dict[str, np.ndarray]:
        """Return the gradient from values alone: central differences of fourth order, in NumPy's float64."""
        step = 2e-3
        gradients = {}
        for name, value in self.values.items():
            gradients[name] = np.empty_like(value)
            for place in np.ndindex(*value.shape):
                gradient = 0.0
                for shift, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                    moved = value.copy()
                    moved[place] += shift * step
                    gradient += weight * self.scalar(np.sum, *self.by_numpy({**self.values, name: moved}))
                gradients[name][place] = gradient / (12 * step)
        return gradients


LENGTHS = (1, 2, 3, 4, 5, 7, 50)


def worth(name: str, steps: int) -> bool:
    """Whether a length is worth its time: every way through the loop for some cells, one or two for the rest."""
    return name in ("rnn", "lstm", "gru") or (name in TOYS and steps < 50) or steps in (3, 50)


def test_the_lengths_take_every_way_through_the_loop():
    assert {next(n for n in UNROLL if steps % n == 0) for steps in LENGTHS} == set(UNROLL)


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("name, steps", [(n, steps) for n in ALL for steps in LENGTHS if worth(n, steps)])
def test_values_and_gradients_equal_stepping_and_autodiff(name, steps, with_reset):
    problem = Problem(ALL[name], steps, with_reset)
    outputs, last = problem.by_scan({key: tf.constant(value) for key, value in problem.values.items()})
    expected, expected_last = problem.by_numpy(problem.values)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-12)
    assert type(last) is ALL[name].state
    for value, expected_value in zip(last, expected_last, strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=0, atol=1e-12)
    fast, plain = problem.gradients(problem.by_scan), problem.gradients(problem.by_keras)
    for key, gradient in plain.items():
        assert relative_error(fast[key], gradient) < 1e-8, key


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_gradients_equal_central_differences(name, with_reset):
    # With another seed no relu of an irnn hears its first state.
    problem = Problem(ALL[name], 5, with_reset, seed=5 if name == "irnn" else 3)
    found, numeric = problem.gradients(problem.by_scan, compiled=True), problem.central_differences()
    for key, gradient in numeric.items():
        if (name, key) == ("exchange", "V"):
            assert not found[key].any()
            continue
        assert np.abs(gradient).max() > 0.01, f"the test of {key} could not fail"
        assert relative_error(found[key], gradient) < ACCURATE, key


def test_the_measure_of_gradients_notices_one_small_wrong_number():
    problem = Problem(CELLS["lstm"], 5, False)
    numeric = problem.central_differences()["U"]
    wrong = numeric.copy()
    place = np.unravel_index(np.abs(wrong).argmin(), wrong.shape)
    wrong[place] += 1e-8 * np.abs(wrong).max()
    assert relative_error(wrong, numeric) > ACCURATE


def test_gradients_flow_from_the_outputs_alone_and_from_the_last_state_alone():
    for silent in ("of_outputs", "of_last"):
        problem = Problem(CELLS["lstm"], 6, False)
        setattr(problem, silent, [np.zeros_like(weights) for weights in getattr(problem, silent)])
        fast, plain = problem.gradients(problem.by_scan), problem.gradients(problem.by_keras)
        for key, gradient in plain.items():
            assert np.abs(gradient).max() > 1e-3
            assert relative_error(fast[key], gradient) < 1e-8, key


def test_a_reset_row_forgets_and_its_neighbour_does_not():
    problem = Problem(CELLS["lstm"], 6, False)
    problem.reset = np.zeros((6, BATCH), bool)
    problem.reset[3, 0] = True
    gradients = problem.gradients(problem.by_scan)
    problem.of_outputs[:3] = 0
    after = problem.gradients(problem.by_scan)
    assert not after["state h"][0].any() and not after["zx"][:3, 0].any()
    assert after["state h"][1].all() and after["zx"][:, 1].all() and gradients["state c"].all()


def keras_layer(name: str, weights: list[np.ndarray]) -> Any:
    kinds = {
        "lstm": lambda **settings: keras.layers.LSTM(UNITS, unit_forget_bias=False, **settings),
        "gru": lambda **settings: keras.layers.GRU(UNITS, reset_after=False, **settings),
        "gru-reset-after": lambda **settings: keras.layers.GRU(UNITS, reset_after=True, **settings),
    }
    layer = kinds[name](return_sequences=True, return_state=True, dtype="float64")
    layer.build((BATCH, 9, 4))
    layer.set_weights(weights)
    return layer


def differences_from_keras(name: str, exchange: tuple[int, int] | None = None) -> tuple[float, float]:
    """Return the largest difference of outputs and of gradients; `exchange` swaps two blocks of Keras's weights."""
    rng, cell, steps, inputs = np.random.default_rng(5), CELLS[name], 9, 4
    w, u, b = (rng.normal(0, 0.6, (*rows, cell.gates * UNITS)) for rows in ((inputs,), (UNITS,), ()))
    x = tf.constant(rng.normal(size=(steps, BATCH, inputs)))
    state = [tf.constant(rng.normal(size=(BATCH, UNITS))) for _ in cell.state_fields]
    of_outputs = tf.constant(rng.normal(size=(steps, BATCH, UNITS)))
    of_last = tf.constant(rng.normal(size=(len(state), BATCH, UNITS)))

    vectors = {name: tf.constant(rng.normal(0, 0.6, UNITS)) for name in cell.vectors}
    ours = [tf.constant(array) for array in (w, u, b)]
    with tf.GradientTape() as tape:
        tape.watch([ours, vectors, x, state])
        bounds = np.cumsum([blocks * UNITS for blocks in cell.matrices.values()])[:-1]
        matrices = dict(zip(cell.matrices, tf.split(ours[1], np.diff([0, *bounds, u.shape[1]]), axis=-1), strict=True))
        zx = tf.matmul(x, ours[0]) + ours[2]
        outputs, last = scan(cell, zx, cell.state(*state), matrices, vectors)
        value = tf.reduce_sum(outputs * of_outputs) + tf.reduce_sum(tf.stack(list(last)) * of_last)
    found = tape.gradient(value, [*ours, x, *state, *vectors.values()])

    order = list(range(cell.gates))
    if exchange:
        order[exchange[0]], order[exchange[1]] = exchange[1], exchange[0]
    if vectors:
        # Keras has a second bias, of all blocks; ours is that of the last alone.
        b = np.stack([b, np.concatenate([np.zeros(2 * UNITS), vectors["c"].numpy()])])
    layer = keras_layer(
        name, [np.concatenate([np.split(a, cell.gates, axis=-1)[g] for g in order], -1) for a in (w, u, b)]
    )
    with tf.GradientTape() as tape:
        tape.watch([x, state])
        theirs, *their_last = layer(tf.transpose(x, (1, 0, 2)), initial_state=state)
        theirs = tf.transpose(theirs, (1, 0, 2))
        value = tf.reduce_sum(theirs * of_outputs) + tf.reduce_sum(tf.stack(their_last) * of_last)
    expected = tape.gradient(value, [*(variable.value for variable in layer.trainable_variables), x, *state])
    if vectors:
        expected[2], second = tf.unstack(expected[2])
        expected.append(second[2 * UNITS :])
    worst = max(float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(found, expected, strict=True))
    return float(tf.reduce_max(tf.abs(outputs - theirs))), worst


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-after"])
def test_equals_the_layer_of_keras(name):
    values, gradients = differences_from_keras(name)
    assert values < 1e-12 and gradients < 1e-10


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-after"])
def test_exchanged_gates_are_noticed_by_the_parity_with_keras(name):
    for a in range(CELLS[name].gates):
        for b in range(a):
            values, gradients = differences_from_keras(name, (a, b))
            assert values > 1e-2 and gradients > 1e-2


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_cell_in_keras_rnn_equals_the_scan(name):
    rng, cell = np.random.default_rng(6), CELLS[name]
    layer = keras.layers.RNN(
        RecurrentCell(name, UNITS, dtype="float64"), return_sequences=True, return_state=True, dtype="float64"
    )
    x = rng.normal(size=(BATCH, 7, 4))
    state = [rng.normal(size=(BATCH, UNITS)) for _ in cell.state_fields]
    layer.build((BATCH, 7, 4))
    bias = layer.cell.bias.numpy()
    np.testing.assert_array_equal(bias, np.repeat(cell.bias, UNITS))
    layer.set_weights([rng.normal(0, 0.6, weight.shape) for weight in layer.get_weights()])
    outputs, *last = layer(x, initial_state=[tf.constant(value) for value in state])

    bias = tf.constant(layer.cell.bias.numpy())
    zx = tf.constant(x.transpose(1, 0, 2) @ layer.cell.kernel.numpy()) + (0.0 if cell.own_bias else bias)
    matrices = {key: tf.constant(matrix.numpy()) for key, matrix in layer.cell.matrices.items()}
    vectors = {key: tf.constant(vector.numpy()) for key, vector in layer.cell.vectors.items()}
    vectors |= {"b": bias} if cell.own_bias else {}
    expected, expected_last = scan(cell, zx, cell.state(*map(tf.constant, state)), matrices, vectors)
    np.testing.assert_allclose(outputs.numpy().transpose(1, 0, 2), expected, rtol=0, atol=1e-12)
    for value, expected_value in zip(last, expected_last, strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_cell_survives_its_config_and_a_file(name, tmp_path):
    inputs = keras.Input((None, 4))
    outputs = keras.layers.RNN(RecurrentCell(name, UNITS), return_sequences=True)(inputs)
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(7).normal(size=(BATCH, 5, 4)).astype(np.float32)
    rng = np.random.default_rng(8)
    model.set_weights([rng.normal(0, 0.6, weight.shape) for weight in model.get_weights()])
    expected = model(x).numpy()
    assert np.abs(expected).max() > 0.1

    config = model.layers[1].get_config()
    again = keras.layers.RNN.from_config(config)
    assert again.cell.get_config() == model.layers[1].cell.get_config()
    again.build((BATCH, 5, 4))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), expected)

    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x).numpy(), expected)
