"""Every array namespace that runs a step has all that a step may call, and gives what the formulas give in float64."""

import operator
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.cells import ArrayNamespace, Cell, Hidden
from charrnn.cells.cell import EPSILON
from charrnn.inference import ops
from charrnn.inference.plan import Plan
from charrnn.training.backends import engine
from charrnn.training.backends.choice import choose

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import dataflow as pictures  # noqa: E402

pytestmark = pytest.mark.trains
FUNCTIONS = [name for name in vars(ArrayNamespace) if not name.startswith("_")]
UNITS = pictures.UNITS
Probe = Callable[[Any, Any, Any], Any]


def rows(*numbers: float) -> np.ndarray:
    return np.array([np.resize(numbers, UNITS), np.resize(numbers[::-1], UNITS)], float)


SMALL = rows(*np.random.default_rng(0).normal(size=UNITS)), rows(*np.random.default_rng(1).normal(size=UNITS))
EXTREME = rows(-1000, 1000, -40, 40, 0, 1e-3, -700, 700), rows(3, -1e30, 1e30, 0, -2)
# In their rows all numbers are the same, or next to it.
CONSTANT = np.stack([np.full(UNITS, 7.3), np.full(UNITS, -1e3)]), rows(0)
NEARLY = 5 + rows(1e-4, -1e-4, 3e-4), rows(1)


class Case(NamedTuple):
    """What a step does to x and y, as it writes it; what that is in NumPy; and for which x and y."""

    probe: Probe
    formula: Callable[[np.ndarray, np.ndarray], np.ndarray]
    inputs: tuple[tuple[np.ndarray, np.ndarray], ...] = (SMALL, EXTREME)


def formula_of_log_sigmoid(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def standardized(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + EPSILON)


def turned(xp: Any, x: Any, where: Any) -> Any:
    """Return x cut and put together the other way round."""
    return xp.concatenate(list(xp.split(x, where, axis=-1))[::-1], axis=-1)


CASES = {
    "exp": Case(lambda xp, x, y: xp.exp(x), lambda x, y: np.exp(x), (SMALL, (rows(-1000, 700, 0), rows(0)))),
    "tanh": Case(lambda xp, x, y: xp.tanh(x), lambda x, y: np.tanh(x)),
    "sigmoid": Case(lambda xp, x, y: xp.sigmoid(x), lambda x, y: 1 / (1 + np.exp(-x))),
    "log_sigmoid": Case(lambda xp, x, y: xp.log_sigmoid(x), formula_of_log_sigmoid),
    "relu": Case(lambda xp, x, y: xp.relu(x), lambda x, y: np.where(x > 0, x, 0)),
    "maximum": Case(lambda xp, x, y: xp.maximum(x, y), lambda x, y: np.where(x > y, x, y)),
    "standardize": Case(lambda xp, x, y: xp.standardize(x), standardized, (SMALL, EXTREME, CONSTANT, NEARLY)),
    "split": Case(lambda xp, x, y: turned(xp, x, 4), lambda x, y: np.hstack(np.split(x, 4, axis=1)[::-1])),
    "concatenate": Case(
        lambda xp, x, y: turned(xp, x, [2, 7]), lambda x, y: np.hstack([x[:, 7:], x[:, 2:7], x[:, :2]])
    ),
    "larger than a number": Case(lambda xp, x, y: xp.maximum(x, 0.5), lambda x, y: np.maximum(x, 0.5)),
    "+": Case(lambda xp, x, y: 1 + (x + y), lambda x, y: x + y + 1),
    "-": Case(lambda xp, x, y: 1 - (x - y), lambda x, y: 1 - (x - y)),
    "*": Case(lambda xp, x, y: 2 * x * y, lambda x, y: x * y * 2),
    "/": Case(lambda xp, x, y: 1 / (x / y), lambda x, y: 1 / (x / y), ((SMALL[0], SMALL[1]),)),
    "sign": Case(lambda xp, x, y: -x, lambda x, y: -x),
}


def with_numpy(probe: Probe, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return probe(ops, x, y)


def cell_of(probe: Probe) -> Cell:
    """Return a cell whose zx is x and y, and whose output is what the probe does to them."""

    def step(xp: Any, zx: Any, state: Any, dot: Any, w: Any) -> Hidden:
        return Hidden(probe(xp, *xp.split(zx, 2, axis=-1)))

    return Cell("probe", "Nobody 2026", step, Hidden, "xy", {})


def with_plan(probe: Probe, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what a plan makes of rows, together and each alone."""
    cell, zx = cell_of(probe), np.hstack([x, y])
    (together,) = Plan(cell, UNITS, {}, {}, len(x), np.float64).run(zx[None])
    alone = [Plan(cell, UNITS, {}, {}, 1, np.float64).run(row[None, None])[0][0, 0] for row in zx]
    np.testing.assert_allclose(together[0], alone, rtol=1e-14)
    return together[0]


def with_backend(probe: Probe, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from keras import ops as keras_ops

    return np.array(probe(engine.xp, keras_ops.convert_to_tensor(x), keras_ops.convert_to_tensor(y)))


def with_jax(probe: Probe, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """JAX's namespace needs no Keras, so it is tested beside TensorFlow too."""
    import jax

    from charrnn.training.backends.jax.ops import xp

    with jax.enable_x64(True):
        return np.array(probe(xp, jax.numpy.asarray(x), jax.numpy.asarray(y)))


def with_pictures(probe: Probe, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what a person would compute who reads the boxes of a picture."""
    labels = {pictures.NAMES.get(name, name): name for name in FUNCTIONS}
    signs = {"+": operator.add, "−": operator.sub, "×": operator.mul, "÷": operator.truediv, "max": np.maximum}

    def computed(box: pictures.Box) -> np.ndarray:
        if box.kind == "matrix":
            return np.hstack([x, y])
        operands = [np.hstack([computed(box)[:, low:high] for box, low, high in x.pieces]) for x in box.operands]
        if box.kind == "state":
            return operands[0]
        if box.label in labels:
            return getattr(ops, labels[box.label])(*operands)
        if box.label in signs:
            return signs[box.label](*operands)
        first, second = box.label.split()
        return signs[first](*operands, float(second)) if first in signs else signs[second](float(first), *operands)

    return computed(pictures.dataflow(cell_of(probe))[-1])


WAYS = {
    "numpy": with_numpy,
    "plan": with_plan,
    choose().name: with_backend,
    "jax": with_jax,
    "pictures": with_pictures,
}


def test_every_function_has_a_case():
    assert set(FUNCTIONS) <= set(CASES) and len(FUNCTIONS) > 8


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("way", WAYS)
def test_every_namespace_gives_the_values_of_the_formulas(way, case):
    for x, y in case.inputs:
        with np.errstate(over="ignore", under="ignore"):
            expected, found = case.formula(x, y), WAYS[way](case.probe, x, y)
        assert found.dtype == np.float64 and np.isfinite(expected).all()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
