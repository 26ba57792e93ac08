"""The traced plan against the equations themselves, for every cell and for cells made to break it."""

from typing import Any

import numpy as np
import pytest

from charrnn.cells import CELLS, Cell, Hidden
from charrnn.errors import CharRNNError
from charrnn.inference import ops
from charrnn.inference.plan import Plan, check
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid
from support.toys import TOYS, UNITS, random_cell, toy


def random_parameters(cell: Cell, units: int, rng: np.random.Generator, dtype: str) -> tuple[dict, dict]:
    matrices = {
        name: rng.normal(0, 0.5 / np.sqrt(units), matrix.shape(units)).astype(dtype)
        for name, matrix in cell.matrices.items()
    }
    vectors = {name: rng.normal(0, 1, len(v.starts) * units).astype(dtype) for name, v in cell.vectors.items()}
    return matrices, vectors


def random_state(cell: Cell, shape: tuple[int, int], rng: np.random.Generator, dtype: str) -> Any:
    """Return a state; what others are divided by is positive, and what counts down stands at zero."""
    values = {name: rng.normal(0, 0.5, shape) for name in cell.state_fields}
    if "n" in values:
        values["n"] = rng.uniform(0.5, 2, shape)
    if "k" in values:
        values["k"] = np.zeros(shape)
    return cell.state(*(value.astype(dtype) for value in values.values()))


def disagreement(cell, batch, dtype="float64", units=UNITS, steps=30, seed=0) -> float:
    """Return how far apart outputs and last states of plan and equations are, at most, from a random state on."""
    rng = np.random.default_rng(seed)
    matrices, vectors = random_parameters(cell, units, rng, dtype)
    zx = rng.normal(0, 1, (steps, batch, cell.width(units))).astype(dtype)
    state = random_state(cell, (batch, units), rng, dtype)
    plan = Plan(cell, units, matrices, vectors, batch, dtype)
    for array, value in zip(plan.state, state, strict=True):
        array[...] = value if batch > 1 else value[0]
    expected = []
    for row in zx:
        state = cell.step(ops, row, state, lambda vector, name: vector @ matrices[name], vectors)
        expected.append(state)
    outputs = plan.run(zx, cell.state_fields)
    assert all(field.dtype == dtype and field.shape == (steps, batch, units) for field in outputs)
    pairs = [
        *zip(outputs, map(np.array, zip(*expected, strict=True)), strict=True),
        *zip(plan.state, state, strict=True),
    ]
    return max(float(np.abs(got - want).max() / max(1.0, np.abs(want).max())) for got, want in pairs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_plan_equals_the_equations_over_500_steps(name, batch, dtype):
    # BLAS may add up in another order for one row than for several; nothing else may differ.
    assert disagreement(CELLS[name], batch, dtype, units=16, steps=500) < 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_chunks_equal_one_long_run(name, batch):
    cell, rng = CELLS[name], np.random.default_rng(0)
    matrices, vectors = random_parameters(cell, UNITS, rng, "float64")
    zx = rng.normal(size=(23, batch, cell.width(UNITS)))
    whole, cut = (Plan(cell, UNITS, matrices, vectors, batch, "float64") for _ in range(2))
    for name, array, same in zip(cell.state_fields, whole.state, cut.state, strict=True):
        array[...] = same[...] = 0.7 if name == "n" else 0.0
    (expected,) = whole.run(zx)
    got = np.concatenate([cut.run(zx[low:high])[0] for low, high in ((0, 1), (1, 10), (10, 10), (10, 23))])
    assert (got == expected).all()


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_exchanged_blocks_are_noticed(name):
    real = CELLS[name]

    def exchanged(xp, zx, state, dot, w):
        if xp is ops:
            zx = np.roll(zx, UNITS, axis=-1)
        return real.step(xp, zx, state, dot, w)

    assert (
        disagreement(
            toy(exchanged, real.state, len(real.blocks), {n: len(m.blocks) for n, m in real.matrices.items()}), 3
        )
        > 0.05
    )


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cell", [grid(CELLS["lstm"]), gated_feedback(CELLS["gru"], 3)], ids=lambda cell: cell.name)
def test_plan_of_a_stack(cell, batch):
    assert disagreement(cell, batch) < 1e-12


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", TOYS)
def test_plan_of_a_cell_made_to_break_it(name, batch):
    assert disagreement(TOYS[name], batch) < 1e-12


def called(cell: Cell) -> list[str]:
    """Return the names of the functions that a step calls."""
    weights = random_parameters(cell, UNITS, np.random.default_rng(0), "float32")
    return [function.__name__ for function, _ in Plan(cell, UNITS, *weights).calls]


def test_activations_of_neighbouring_blocks_are_one_call():
    gates = ["multiply", "tanh", "multiply", "add"]
    # The new c and h are computed in place of the old: nothing is copied.
    assert called(CELLS["lstm"]) == ["dot", "add", *gates, "multiply", "multiply", "add", "tanh", "multiply"]


def test_what_is_made_of_vectors_alone_is_computed_once():
    step = ["dot", "multiply", "add", "tanh", "divide", "multiply", "subtract"]
    assert called(TOYS["vectors_alone"]) == [*step, "copyto", "copyto"]


@pytest.mark.parametrize("batch", [1, 2])
def test_plan_of_random_cells(batch):
    compared = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for seed in range(300):
            # Few steps: some of these cells square their state at each.
            worst = disagreement(random_cell(seed), batch, steps=4, seed=seed)
            if np.isfinite(worst):
                compared += 1
                assert worst < 1e-9, f"random_cell({seed})"
    assert compared > 250


def test_a_cell_that_cannot_be_sampled_from_is_refused_before_it_is_trained():
    for step, message in (
        (lambda xp, zx, state, dot, w: Hidden(xp.arctan(zx)), "calls xp.arctan, which is not available to the step"),
        (lambda xp, zx, state, dot, w: Hidden(zx**2), "cannot be computed: TypeError: unsupported operand"),
        (lambda xp, zx, state, dot, w: Hidden(dot(zx, "V")), "cannot be computed: KeyError: 'V'"),
    ):
        with pytest.raises(CharRNNError, match=message):
            check(toy(step, Hidden))
    for cell in (*CELLS.values(), grid(CELLS["lstm"]), gated_feedback(CELLS["gru"], 2)):
        check(cell)
