"""The trace of a step: computed node by node it is the step, and what a step may not do is refused."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.cells import CELLS, Cell, Hidden, Matrix, Vector
from charrnn.cells.simple import periods
from charrnn.cells.trace import Node, Trace
from charrnn.errors import CharRNNError
from charrnn.inference import ops
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid

BATCH, UNITS = 3, 16
STACKS = {
    "grid": grid(CELLS["lstm"]),
    "grid of normalized": grid(CELLS["lstm-layernorm"]),
    "gated feedback": gated_feedback(CELLS["gru-reset-after"], 3),
}


class Four(NamedTuple):
    """The state of the cell of this file."""

    h: Any
    a: Any
    b: Any
    c: Any


def everything(xp, zx, state, dot, w):
    """Every operator with an array, a vector, a constant array and a number on either side; parts of parts."""
    const = np.linspace(-2, 2, UNITS)
    left, right = xp.split(zx, [UNITS // 4], axis=1)
    _, middle, end = xp.split(right, 3, axis=-1)
    x = xp.concatenate([end, middle, xp.relu(left), end], axis=-1)
    a = 2 - (x - 1) + (w["p"] - x) * 0.5 + (x - w["p"]) * (const - x) - (x - const)
    b = 2 / (3 + xp.exp(x) / 5) - w["p"] / (const + 7 + xp.exp(x) * w["q"] * w["q"])
    c = xp.maximum(0.1, a) - xp.maximum(a, w["p"]) * -xp.maximum(const, state.c)
    return Four(xp.tanh(dot(c, "U")), a * const, const * b, (1 - w["p"]) * c)


EVERYTHING = Cell("everything", "", everything, Four, "a", {"U": Matrix("h")}, {"p": Vector(), "q": Vector()})
TRACED = {**CELLS, **STACKS, "everything": EVERYTHING}


class Materials:
    """Arrays of all that a step reads, but none of them is zero, so that no division fails."""

    def __init__(self, cell: Cell):
        rng = np.random.default_rng(0)
        self.matrices = {name: rng.normal(size=matrix.shape(UNITS)) for name, matrix in cell.matrices.items()}
        self.vectors = {name: rng.normal(size=len(vector.starts) * UNITS) for name, vector in cell.vectors.items()}
        self.zx = rng.normal(size=(BATCH, cell.width(UNITS)))
        self.state = cell.state(*(rng.uniform(0.5, 2, (BATCH, UNITS)) for _ in cell.state_fields))

    def computed(self, trace: Trace) -> dict[Node, np.ndarray]:
        """Return the value of every node, in the order of the trace."""
        values: dict[Node, np.ndarray] = {}
        for node in trace.nodes:
            operands = [values[operand] if isinstance(operand, Node) else operand for operand in node.operands]
            match node.operation:
                case "zx":
                    values[node] = self.zx
                case "state":
                    values[node] = getattr(self.state, node.name)
                case "vector":
                    values[node] = self.vectors[node.name]
                case "constant":
                    values[node] = node.value
                case "dot":
                    values[node] = operands[0] @ self.matrices[node.name]
                case "part":
                    values[node] = operands[0][..., node.low : node.low + node.width]
                case "whole":
                    values[node] = np.concatenate(operands, axis=-1)
                case "add" | "subtract" | "multiply" | "divide":
                    values[node] = getattr(np, node.operation)(*operands)
                case _:
                    values[node] = getattr(ops, node.operation)(*operands)
        return values


@pytest.mark.parametrize("name", TRACED)
def test_the_trace_computes_the_step(name):
    cell = TRACED[name]
    given, trace = Materials(cell), Trace(cell, UNITS)
    expected = cell.step(ops, given.zx, given.state, lambda x, matrix: x @ given.matrices[matrix], given.vectors)
    values = given.computed(trace)
    assert type(trace.new) is cell.state
    for node, value in zip(trace.new, expected, strict=True):
        np.testing.assert_array_equal(values[node], value)
    for node, value in values.items():
        assert value.shape == tuple(BATCH if size is None else size for size in node.shape)
        assert value.shape[-1] == node.width


def test_an_array_of_the_cells_own_is_a_constant():
    (constant,) = [node for node in Trace(CELLS["clockwork"], UNITS).nodes if node.operation == "constant"]
    np.testing.assert_array_equal(constant.value, periods(UNITS))


def half(xp: Any, x: Any) -> Any:
    """Return the first half of the columns."""
    return xp.split(x, 2, axis=-1)[0]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda xp, zx, state, dot, w: xp.tanh(zx, zx), "takes 2 positional arguments but 3 were given"),
        (lambda xp, zx, state, dot, w: xp.maximum(zx), "missing 1 required positional argument: 'y'"),
        (lambda xp, zx, state, dot, w: zx + xp.exp(0.5), "exp needs an array"),
        (lambda xp, zx, state, dot, w: half(xp, xp.concatenate([zx, zx], axis=0)), "axis is 0"),
        (lambda xp, zx, state, dot, w: xp.split(zx, 2, axis=0)[0], "axis is 0"),
        (lambda xp, zx, state, dot, w: half(xp, xp.concatenate([zx, w["p"]], axis=-1)), "of one rank"),
        (lambda xp, zx, state, dot, w: dot(1 - w["p"], "U"), r"U needs \(batch, 16\), not \(16,\)"),
        (lambda xp, zx, state, dot, w: dot(half(xp, zx), "U"), r"U needs \(batch, 16\), not \(batch, 8\)"),
        (lambda xp, zx, state, dot, w: half(xp, zx) * zx, "multiply: arrays of 8 and 16 columns cannot"),
        (lambda xp, zx, state, dot, w: w["p"] * 2, r"the new h must be \(batch, 16\), not \(16,\)"),
        (lambda xp, zx, state, dot, w: half(xp, zx), r"the new h must be \(batch, 16\), not \(batch, 8\)"),
        (lambda xp, zx, state, dot, w: 0.5, "the new h is not an array"),
    ],
)
def test_a_step_that_no_backend_could_compute_is_refused(step, message):
    cell = Cell("wrong", "", lambda *given: Hidden(step(*given)), Hidden, "h", {"U": Matrix("h")}, {"p": Vector()})
    with pytest.raises((TypeError, ValueError), match=message):
        Trace(cell, UNITS)


def test_a_function_that_a_step_may_not_call_is_refused_by_name():
    cell = Cell("wrong", "", lambda xp, zx, *others: Hidden(xp.arctan(zx)), Hidden, "h", {})
    with pytest.raises(CharRNNError, match=r"calls xp\.arctan, which is not available to the step of a cell") as raised:
        Trace(cell, UNITS)
    assert raised.value.hint == (
        "Available functions: concatenate, exp, log_sigmoid, maximum, relu, sigmoid, split, standardize, tanh."
    )
