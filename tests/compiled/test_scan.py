"""Compiled scans against the equations in float64: every cell, cells made to break them, sizes, widths of vectors."""

import numpy as np
import pytest

from charrnn.cells import CELLS, Cell, Matrix, Vector
from charrnn.compiled.machine import Machine
from charrnn.compiled.product import CHUNK
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid
from support.compiled_scans import Quick, assert_equal, call, compiled, errors, results
from support.representatives import REPRESENTATIVES, some
from support.toys import TOYS, UNITS, Two, random_cell, toy
from support.vectors import restricted

STACKS = {"grid": grid(CELLS["lstm"]), "gated feedback": gated_feedback(CELLS["gru"], 2)}
ALL = {**CELLS, **STACKS}


@pytest.mark.parametrize("name", ALL)
def test_values_and_gradients_equal_the_equations(name):
    assert_equal(ALL[name], 19, 5, 5, "float64")


@pytest.mark.parametrize("name", some(ALL, [*REPRESENTATIVES, *STACKS]))
def test_float32_as_training_runs_it(name):
    """With all kernels, the outputs that the next layer reads, and no documents that begin."""
    assert_equal(ALL[name], 37, 7, 13, "float32", emitted=("h",), resets=False, machine=Machine())


@pytest.mark.parametrize("name", TOYS)
def test_a_cell_made_to_break_it(name):
    assert_equal(TOYS[name], UNITS, 4, 3, "float64")


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(12, 240, 12))])
def test_random_cells(first):
    compared = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for seed in range(first, first + 12):
            cell = random_cell(seed)
            emitted = cell.state_fields[seed % len(cell.state_fields) :]
            problem, scan = compiled(cell, UNITS, 3, 3, "float64", emitted=emitted, resets=seed % 2 == 0, seed=seed)
            of_values, of_gradients = errors(scan, problem, "float64")
            # Some of these cells square their state at each step.
            if np.isfinite(of_values):
                compared += 1
                assert of_values < 1e-9 and of_gradients < 1e-8, f"random_cell({seed})"
    assert compared > 9


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("name", some(CELLS, ["lstm-layernorm", "clockwork", "lstm-mogrifier", "gru"]))
def test_few_units_and_one_row(name, units):
    assert_equal(CELLS[name], units, 3, 1, "float64")


def test_one_unit_that_is_read_in_several_columns():
    """Its gradient, and that of a vector, is a sum over columns."""

    def step(xp, zx, state, dot, w):
        return Two(xp.tanh(dot(zx * state.h + w["p"], "U")), dot(zx * state.c, "U") * 0.5)

    cell = Cell("toy", "", step, Two, "ab", {"U": Matrix("a", rows=2)}, {"p": Vector()})
    assert_equal(cell, 1, 4, 3, "float64", resets=False)


@pytest.mark.parametrize("units", [CHUNK, 2 * CHUNK + 5])
def test_a_matrix_of_several_chunks(units):
    assert_equal(CELLS["rnn"], units, 2, 3, "float64")


def test_a_long_window_takes_no_more_of_the_stack():
    problem, scan = compiled(CELLS["lstm-layernorm"], 2, 1024, 256, "float32")
    assert np.isfinite(results(scan, problem, "float32").outputs["h"]).all()


def test_the_first_of_two_equal_numbers_has_the_gradient():
    cell = toy(lambda xp, zx, state, dot, w: Two(xp.maximum(state.h, state.c), xp.maximum(state.c, zx)))
    problem, scan = compiled(cell, UNITS, 1, 3, "float64", resets=False)
    problem.values["s_c"][...] = problem.values["s_h"]
    gradients = results(scan, problem, "float64").gradients
    expected = problem.d_last["h"] + problem.d_outputs["h"][0]
    np.testing.assert_allclose(gradients["s_h"], expected, rtol=1e-12)


@pytest.mark.parametrize("steps, rows", [(0, 3), (3, 0)])
def test_nothing_to_do(steps, rows):
    problem, scan = compiled(CELLS["lstm"], 3, 1, 3, "float32")
    given = {"zx": np.zeros((steps, rows, 12)), "keep": np.ones((steps, rows, 1)), **problem.matrices}
    given |= {f"s_{name} first": problem.values[f"s_{name}"][:rows] for name in "hc"}
    given |= {f"d_out_{name}": np.zeros((steps, rows, 3)) for name in "hc"}
    given |= {f"d_{name} last": problem.d_last[name][:rows] for name in "hc"}
    given |= call(scan.forward, steps, rows, given, "float32")
    back = call(scan.backward, steps, rows, given, "float32")
    for name in "hc":
        assert (given[f"s_{name}"][0] == given[f"s_{name} first"].astype("float32")).all()
        assert (back[f"d_{name}"][0] == given[f"d_{name} last"].astype("float32")).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [4, 8, 16])
def test_every_width_of_vectors(width, dtype):
    machine = Quick(restricted(width))
    if machine.x86:
        assert machine.vector_bytes == 4 * width
    # More columns than two panels, and columns that fill no vector.
    for cell in (CELLS["lstm-layernorm"], CELLS["slstm"]):
        assert_equal(cell, 19, 4, 3, dtype, machine=machine)
