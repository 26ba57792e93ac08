"""The fast scan: its values against stepping, its gradients against plain autodiff and central differences."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from charrnn.cells import CELLS, Cell, Hidden, Matrix, Vector
from charrnn.cells import HiddenAndMemory as Two
from charrnn.compiled.dropout import Dropout
from charrnn.inference import ops as numpy_ops
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid
from charrnn.training.backends import compiled as compiled_code
from charrnn.training.backends.engine import (
    calls,
    compiled,
    look_up,
    loss_and_gradients,
    scan,
    xp,
)
from charrnn.training.gradcheck import relative_error
from charrnn.training.keras_cell import RecurrentCell
from support.representatives import REPRESENTATIVES, case, cells, slow_on_jax

# `make test` runs these with JAX too.
pytestmark = pytest.mark.backend

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# With JAX those whose layers do something of their own are enough.
IN_KERAS = cells(
    CELLS if ON_TENSORFLOW else ("lstm", "slstm", "clockwork", "lstm-layernorm", "lstm-mogrifier"),
    on_jax=("lstm-mogrifier",),
)
# What Keras's own layers compute with float64: on JAX, float32.
OF_KERAS = (1e-12, 1e-10) if ON_TENSORFLOW else (1e-5, 1e-4)
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
    "peephole": Cell(
        "peephole", "", peephole, Two, "ifo", {"U": Matrix("ifo")}, dict.fromkeys(("f", "o", "gain"), Vector())
    ),
    "multiplicative": Cell("multiplicative", "", multiplicative, Two, "a", {"U": Matrix("a"), "V": Matrix("a")}),
    "delay": Cell("delay", "", delay, Two, "a", {"U": Matrix("a")}),
    "exchange": Cell("exchange", "", exchange, Two, "a", {"U": Matrix("a"), "V": Matrix("a")}),
    "same_twice": Cell("same_twice", "", same_twice, Two, "a", {"U": Matrix("a")}, initial={"c": 0.7}),
    "no_product": Cell("no_product", "", no_product, Hidden, "zg", {}, {"p": Vector()}),
    "grid": grid(CELLS["lstm"]),
    "gated feedback": gated_feedback(CELLS["gru"], 2),
}
ALL = {**CELLS, **TOYS}


def tensors(values: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}


class Problem:
    """A scalar function of everything that a scan takes: random weights of all outputs and of the last state."""

    def __init__(self, cell: Cell, steps: int, with_reset: bool, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.cell, self.steps = cell, steps
        # Of a toy all fields are put out.
        self.emitted = cell.state_fields if cell in TOYS.values() else ("h",)
        self.values = {"zx": rng.normal(size=(steps, BATCH, cell.width(UNITS)))}
        self.values |= {f"state {name}": rng.normal(size=(BATCH, UNITS)) for name in cell.state_fields}
        # What others are divided by, or count down to zero.
        self.values |= {
            f"state {name}": rng.uniform(0.5, 0.9, (BATCH, UNITS)) for name in ("n", "k") if name in cell.state_fields
        }
        self.values |= {n: rng.normal(0, 0.6, matrix.shape(UNITS)) for n, matrix in cell.matrices.items()}
        self.values |= {name: rng.normal(size=len(vector.starts) * UNITS) for name, vector in cell.vectors.items()}
        self.reset = None
        if with_reset:
            self.reset = rng.random((steps, BATCH)) < 0.3
            # One row begins anew at the very first step, the other does not; one does so in the middle.
            self.reset[0] = [True, False]
            self.reset[steps // 2, 1] = steps > 1
        self.of_outputs = rng.normal(size=(len(self.emitted), steps, BATCH, UNITS))
        self.of_last = [rng.normal(size=(BATCH, UNITS)) for _ in cell.state_fields]

    def parts(self, values: dict[str, Any]) -> tuple[Any, Any, dict, dict]:
        state = self.cell.state(*(values[f"state {name}"] for name in self.cell.state_fields))
        matrices = {name: values[name] for name in self.cell.matrices}
        return values["zx"], state, matrices, {name: values[name] for name in self.cell.vectors}

    def unrolled(self, xp: Any, values: dict[str, Any], tensor: Any) -> tuple[Any, Any]:
        """Return outputs and last state of a plain loop over the equations."""
        zx, state, matrices, vectors = self.parts(values)
        outputs = []
        for t in range(self.steps):
            if self.reset is not None:
                keep = tensor(~self.reset[t][:, None] * 1.0)
                begin = [self.cell.initial.get(name, 0.0) for name in self.cell.state_fields]
                state = self.cell.state(*(v * keep + first * (1 - keep) for v, first in zip(state, begin, strict=True)))
            state = self.cell.step(xp, zx[t], state, lambda vector, name: xp.matmul(vector, matrices[name]), vectors)
            outputs.append([getattr(state, name) for name in self.emitted])
        stack = np.stack if xp is numpy_ops else xp.stack
        return [stack(field) for field in zip(*outputs, strict=True)], state

    def by_numpy(self, values: dict[str, np.ndarray]) -> tuple[Any, Any]:
        return self.unrolled(numpy_ops, values, np.asarray)

    def by_autodiff(self, values: dict[str, Any]) -> tuple[Any, Any]:
        return self.unrolled(xp, values, ops.convert_to_tensor)

    def by_scan(self, values: dict[str, Any]) -> tuple[Any, Any]:
        zx, state, matrices, vectors = self.parts(values)
        reset = None if self.reset is None else ops.convert_to_tensor(self.reset)
        return scan(self.cell, zx, state, matrices, vectors, reset, self.emitted)

    def by_compiled_scan(self, values: dict[str, Any]) -> tuple[Any, Any]:
        zx, state, matrices, vectors = self.parts(values)
        reset = None if self.reset is None else ops.convert_to_tensor(self.reset)
        return compiled_code.scan(calls, self.cell, zx, state, matrices, vectors, reset, self.emitted)

    def scalar(self, total: Any, outputs: Any, last: Any) -> Any:
        pairs = [*zip(outputs, self.of_outputs, strict=True), *zip(last, self.of_last, strict=True)]
        return sum(total(value * weights) for value, weights in pairs)

    def gradients(self, run: Any, compile_it: bool = not ON_TENSORFLOW) -> dict[str, np.ndarray]:
        def differentiate(values):
            return loss_and_gradients(lambda values: (self.scalar(xp.sum, *run(values)), 0), values)[2]

        found = (compiled(differentiate) if compile_it else differentiate)(tensors(self.values))
        return {name: np.array(ops.convert_to_numpy(gradient)) for name, gradient in found.items()}

    def central_differences(self) -> dict[str, np.ndarray]:
        """Return the gradient from values alone: central differences of fourth order, in NumPy's float64."""
        step = 5e-4
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


# What leads nowhere: a product of nothing, and the state along depth, which comes from below at every step.
UNREAD = {("exchange", "V"), ("grid", "state h"), ("grid", "state c")}
LENGTHS = (1, 2, 3, 4, 5, 7, 10, 50) if ON_TENSORFLOW else (1, 3)


def worth(name: str, steps: int) -> bool:
    """Whether a length is worth its time: every way through the loop for some cells, one or two for the rest."""
    return name in ("rnn", "lstm", "gru") or (name in TOYS and steps < 50) or (ON_TENSORFLOW and steps == 10)


def fast(name: str, steps: int, with_reset: bool) -> bool:
    """Whether the ordinary suite has it: every way for one cell, and for those that stand for all."""
    if not ON_TENSORFLOW:
        return with_reset and steps == 3 and (name in TOYS or name in ("lstm", "gru"))
    return name == "lstm" or (name in TOYS and steps in (3, 10)) or (name in REPRESENTATIVES and steps == 10)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="JAX's loop is not unrolled")
def test_the_lengths_take_every_way_through_the_loop():
    from charrnn.training.backends.tensorflow.scan import UNROLL

    assert {next(n for n in UNROLL if steps % n == 0) for steps in LENGTHS} == set(UNROLL)


@pytest.mark.parametrize(
    "name, steps, with_reset",
    [
        case(name, steps, with_reset, fast=fast(name, steps, with_reset), on_jax=True)
        for name in ALL
        for steps in LENGTHS
        for with_reset in (False, True)
        if worth(name, steps)
    ],
)
def test_values_and_gradients_equal_stepping_and_autodiff(name, steps, with_reset):
    problem = Problem(ALL[name], steps, with_reset)
    outputs, last = problem.by_scan(tensors(problem.values))
    expected, expected_last = problem.by_numpy(problem.values)
    assert type(last) is ALL[name].state
    for value, expected_value in zip([*outputs, *last], [*expected, *expected_last], strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=1e-12, atol=1e-12)
    fast, plain = problem.gradients(problem.by_scan), problem.gradients(problem.by_autodiff)
    for key, gradient in plain.items():
        assert relative_error(fast[key], gradient) < 1e-8, key


# The compiled code of every cell is compared in tests/compiled; here are the ways in which a backend calls it.
@pytest.mark.parametrize(
    "name, with_reset",
    [
        *(case(name, True, on_jax=True) for name in ("lstm", "gru", "mingru", "exchange", "multiplicative")),
        case("lstm-peephole", False, on_jax=True),
    ],
)
def test_compiled_values_and_gradients_equal_stepping_and_autodiff(name, with_reset):
    problem = Problem(ALL[name], 4, with_reset)
    outputs, last = problem.by_compiled_scan(tensors(problem.values))
    expected, expected_last = problem.by_numpy(problem.values)
    assert type(last) is ALL[name].state
    for value, expected_value in zip([*outputs, *last], [*expected, *expected_last], strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=1e-12, atol=1e-12)
    plain = problem.gradients(problem.by_autodiff)
    for compile_it in (False, True):
        found = problem.gradients(problem.by_compiled_scan, compile_it)
        for key, gradient in plain.items():
            assert relative_error(found[key], gradient) < 1e-8, key


def test_the_gradient_of_a_compiled_look_up_equals_that_of_the_framework():
    rng = np.random.default_rng(0)
    table, ids = rng.normal(size=(5, 19)), ops.convert_to_tensor(rng.integers(0, 4, (7, 3)).astype(np.int32))
    weights = rng.normal(size=(7, 3, 19))

    def gradient(read):
        loss = lambda values: (xp.sum(read(values["table"], ids) * weights), 0)  # noqa: E731
        return np.array(loss_and_gradients(loss, tensors({"table": table}))[2]["table"])

    found = gradient(lambda table, ids: compiled_code.look_up(calls, table, ids))
    np.testing.assert_allclose(found, gradient(look_up), rtol=1e-13)
    assert found[:4].all() and not found[4].any()


def test_a_compiled_product_and_its_gradients_equal_those_of_the_framework():
    rng = np.random.default_rng(0)
    values = {"a": rng.normal(size=(70, 19)), "b": rng.normal(size=(19, 33))}
    weights = rng.normal(size=(70, 33))

    def value_and_gradients(multiply):
        loss = lambda values: (xp.sum(multiply(values["a"], values["b"]) * weights), 0)  # noqa: E731
        total, _, gradients = compiled(lambda values: loss_and_gradients(loss, values))(tensors(values))
        return [np.array(array) for array in (total, gradients["a"], gradients["b"])]

    found = value_and_gradients(lambda a, b: compiled_code.matmul(calls, a, b))
    for array, expected in zip(found, value_and_gradients(xp.matmul), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-12, atol=1e-12)


def test_a_product_whose_operands_do_not_fit_is_refused():
    for a, b in (((4, 3), (2, 5)), ((4, 3), (3, 5))):
        values = tensors({"a": np.ones(a), "b": np.ones(b)})
        other = ops.cast(values["a"], "float32") if a[1] == b[0] else values["a"]
        with pytest.raises(AssertionError):
            compiled(lambda a, b: compiled_code.matmul(calls, a, b))(other, values["b"])


@pytest.mark.slow  # TensorFlow tries for ten seconds.
@pytest.mark.skipif(not ON_TENSORFLOW, reason="JAX allocates the outputs before it calls")
def test_a_call_whose_outputs_do_not_fit_into_memory_fails_and_nothing_else_does():
    import tensorflow as tf

    x = tf.ones((2, 3, 5))

    def call(size: int) -> Any:
        code, words = Dropout(5, 0.5, "float32"), tf.zeros(6, tf.uint32)
        outputs = [compiled_code.Output((2, 3, 5)), compiled_code.Output((size,), kept=False)]
        return compiled(lambda x: calls.native(code, (2, 3), [x, words], outputs)[0])(x)

    with pytest.raises(tf.errors.ResourceExhaustedError):
        call(1 << 50)
    assert set(np.unique(call(1))) == {0.0, 2.0}


@pytest.mark.skipif(not ON_TENSORFLOW, reason="JAX has its own interface")
def test_a_build_of_tensorflow_that_lacks_a_function_is_asked_once(monkeypatch):
    """TensorFlow ends the process if an operation is registered twice."""
    from charrnn.training.backends.tensorflow import native

    calls.prepare()
    monkeypatch.setattr(native, "_outcome", [])
    monkeypatch.setattr(native, "REGISTERING", (*native.REGISTERING, "TF_IsNotThere"))
    for _ in range(2):
        with pytest.raises(AttributeError, match="TF_IsNotThere"):
            calls.prepare()
    assert len(native._outcome) == 1


# Of whole networks of every cell, and every stack, tests/training/test_gradcheck.py takes them.
@pytest.mark.parametrize(
    "name, with_reset",
    [case("lstm", False), *(case(name, True, on_jax=name == "multiplicative") for name in ("irnn", "slstm", *TOYS))],
)
def test_gradients_equal_central_differences(name, with_reset):
    # With another seed no relu of an irnn hears its first state.
    problem = Problem(ALL[name], 5, with_reset, seed=5 if name == "irnn" else 3)
    found, numeric = problem.gradients(problem.by_scan, compile_it=True), problem.central_differences()
    for key, gradient in numeric.items():
        if (name, key) in UNREAD:
            assert not found[key].any()
            continue
        assert np.abs(gradient).max() > 0.005, f"the test of {key} could not fail"
        assert relative_error(found[key], gradient) < ACCURATE, key


@slow_on_jax
def test_the_measure_of_gradients_notices_one_small_wrong_number():
    problem = Problem(CELLS["lstm"], 5, False)
    numeric = problem.central_differences()["U"]
    wrong = numeric.copy()
    place = np.unravel_index(np.abs(wrong).argmin(), wrong.shape)
    wrong[place] += 1e-8 * np.abs(wrong).max()
    assert relative_error(wrong, numeric) > ACCURATE


@slow_on_jax
def test_gradients_flow_from_the_outputs_alone_and_from_the_last_state_alone():
    for silent in ("of_outputs", "of_last"):
        problem = Problem(CELLS["lstm"], 6, False)
        setattr(problem, silent, [np.zeros_like(weights) for weights in getattr(problem, silent)])
        fast, plain = problem.gradients(problem.by_scan), problem.gradients(problem.by_autodiff)
        for key, gradient in plain.items():
            assert np.abs(gradient).max() > 1e-3
            assert relative_error(fast[key], gradient) < 1e-8, key


@slow_on_jax
def test_a_reset_row_forgets_and_its_neighbour_does_not():
    problem = Problem(CELLS["lstm"], 6, False)
    problem.reset = np.zeros((6, BATCH), bool)
    problem.reset[3, 0] = True
    gradients = problem.gradients(problem.by_scan)
    problem.of_outputs[:, :3] = 0
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
    gates = len(cell.blocks)
    values = {
        n: rng.normal(0, 0.6, (*rows, gates * UNITS)) for n, rows in (("W", (inputs,)), ("U", (UNITS,)), ("b", ()))
    }
    values |= {name: rng.normal(0, 0.6, UNITS) for name in cell.vectors}
    values |= {f"state {name}": rng.normal(size=(BATCH, UNITS)) for name in cell.state_fields}
    values["x"] = rng.normal(size=(steps, BATCH, inputs))
    of_outputs, of_last = (
        rng.normal(size=(steps, BATCH, UNITS)),
        rng.normal(size=(len(cell.state_fields), BATCH, UNITS)),
    )
    bounds = np.cumsum([len(matrix.blocks) * UNITS for matrix in cell.matrices.values()])[:-1].tolist()

    def value(outputs, last):
        return xp.sum(outputs * of_outputs) + sum(xp.sum(a * b) for a, b in zip(last, of_last, strict=True)), outputs

    def ours(values):
        u = xp.split(values["U"], bounds, axis=-1) if bounds else [values["U"]]
        state = cell.state(*(values[f"state {name}"] for name in cell.state_fields))
        zx, vectors = xp.matmul(values["x"], values["W"]) + values["b"], {name: values[name] for name in cell.vectors}
        (outputs,), last = scan(cell, zx, state, dict(zip(cell.matrices, u, strict=True)), vectors)
        return value(outputs, last)

    _, outputs, found = loss_and_gradients(ours, tensors(values))
    order = list(range(gates))
    if exchange:
        order[exchange[0]], order[exchange[1]] = exchange[1], exchange[0]
    theirs = {name: value for name, value in values.items() if name not in cell.vectors}
    if "c" in cell.vectors:
        # Keras has a second bias, of all blocks; ours is that of the last alone.
        theirs["b"] = np.stack([theirs["b"], np.concatenate([np.zeros(2 * UNITS), values["c"]])])
    for key in "WUb":
        blocks = np.split(theirs[key], gates, axis=-1)
        theirs[key] = np.concatenate([blocks[gate] for gate in order], -1)
    layer = keras_layer(name, [theirs[key] for key in "WUb"])

    def of_keras(values):
        weights, state = [values[key] for key in "WUb"], [values[f"state {name}"] for name in cell.state_fields]
        seeds = [variable.value for variable in layer.non_trainable_variables]
        x = ops.transpose(values["x"], (1, 0, 2))
        (outputs, *last), _ = layer.stateless_call(weights, seeds, x, initial_state=state)
        return value(ops.transpose(outputs, (1, 0, 2)), last)

    _, expected_outputs, expected = loss_and_gradients(of_keras, tensors(theirs))
    if "c" in cell.vectors:
        expected["b"], second = expected["b"][0], expected["b"][1]
        expected["c"] = second[2 * UNITS :]
    worst = max(float(np.abs(np.array(found[key]) - np.array(expected[key])).max()) for key in found)
    return float(np.abs(np.array(outputs) - np.array(expected_outputs)).max()), worst


@slow_on_jax
@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-after"])
def test_equals_the_layer_of_keras(name):
    values, gradients = differences_from_keras(name)
    assert values < OF_KERAS[0] and gradients < OF_KERAS[1]


@slow_on_jax
@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-after"])
def test_exchanged_gates_are_noticed_by_the_parity_with_keras(name):
    for a in range(len(CELLS[name].blocks)):
        for b in range(a):
            values, gradients = differences_from_keras(name, (a, b))
            assert values > 1e-2 and gradients > 1e-2


@pytest.mark.parametrize("name", IN_KERAS)
def test_recurrent_cell_in_keras_rnn_equals_the_scan(name):
    cell = CELLS[name]
    rng, features = np.random.default_rng(6), 4 * bool(cell.blocks) + UNITS * len(cell.raw)
    layer = keras.layers.RNN(
        RecurrentCell(name, UNITS, dtype="float64"), return_sequences=True, return_state=True, dtype="float64"
    )
    x = rng.normal(size=(BATCH, 7, features))
    layer.build((BATCH, 7, features))
    if cell.blocks:
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.cell.zx_vectors["b"]), np.repeat(cell.bias, UNITS))
    for name, vector in cell.vectors.items():
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.cell.vectors[name]), np.repeat(vector.starts, UNITS))
    layer.set_weights([rng.normal(0, 0.6, weight.shape) for weight in layer.get_weights()])
    outputs, *last = layer(x)

    def kept(variables):
        return {key: ops.convert_to_numpy(variable) for key, variable in variables.items()}

    zx, raw = np.split(x.transpose(1, 0, 2), [features - UNITS * len(cell.raw)], axis=-1)
    if cell.blocks:
        zx = cell.zx(numpy_ops, zx @ ops.convert_to_numpy(layer.cell.kernel), kept(layer.cell.zx_vectors))
    matrices = kept(layer.cell.matrices)
    if cell.mask:
        matrices["U"] = np.where(cell.mask(UNITS), matrices["U"], 0)
    state = [np.full((BATCH, UNITS), cell.initial.get(name, 0.0)) for name in cell.state_fields]
    (expected,), expected_last = scan(
        cell,
        ops.convert_to_tensor(np.concatenate([zx, raw], axis=-1)),
        cell.state(*map(ops.convert_to_tensor, state)),
        tensors(matrices),
        tensors(kept(layer.cell.vectors)),
    )
    np.testing.assert_allclose(np.array(outputs).transpose(1, 0, 2), expected, rtol=0, atol=OF_KERAS[0])
    for value, expected_value in zip(last, expected_last, strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=OF_KERAS[0], atol=OF_KERAS[0])


@slow_on_jax
@pytest.mark.parametrize("name", IN_KERAS)
def test_recurrent_cell_survives_its_config_and_a_file(name, tmp_path):
    features = 4 * bool(CELLS[name].blocks) + UNITS * len(CELLS[name].raw)
    inputs = keras.Input((None, features))
    outputs = keras.layers.RNN(RecurrentCell(name, UNITS), return_sequences=True)(inputs)
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(7).normal(size=(BATCH, 5, features)).astype(np.float32)
    rng = np.random.default_rng(8)
    model.set_weights([rng.normal(0, 0.6, weight.shape) for weight in model.get_weights()])
    expected = np.array(model(x))
    assert np.abs(expected).max() > 0.1

    config = model.layers[1].get_config()
    again = keras.layers.RNN.from_config(config)
    assert again.cell.get_config() == model.layers[1].cell.get_config()
    again.build((BATCH, 5, features))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(np.array(again(x)), expected)

    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.array(keras.models.load_model(tmp_path / "model.keras")(x)), expected)
