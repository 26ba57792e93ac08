"""A NaN in anything that a scan reads is in what it returns: the guard against divergence must see it."""

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.compiled.machine import Machine
from support.compiled_scans import compiled, results


@pytest.fixture(scope="module", params=["lstm-peephole", "irnn", "slstm", "lstm-layernorm"])
def poisoned(request):
    """Return a function that returns what a scan makes of a problem in which one argument has a NaN at a place."""
    # Optimized code, as in training.
    problem, scan = compiled(CELLS[request.param], 20, 3, 3, "float32", resets=False, machine=Machine())

    def poisoned(name=None, place=None):
        given = problem.values | problem.d_outputs
        kept = {key: array.copy() for key, array in given.items()}
        if name is not None:
            given[name][place] = np.nan
        found = results(scan, problem, "float32")
        for key, array in given.items():
            array[...] = kept[key]
        return found

    poisoned.problem = problem
    return poisoned


def with_nan(arrays):
    return {name for name, array in arrays.items() if np.isnan(array).any()}


def test_without_one_there_is_none(poisoned):
    assert not with_nan(poisoned().outputs) | with_nan(poisoned().gradients)


@pytest.mark.parametrize("column", [0, 17, -1])
def test_in_the_input(poisoned, column):
    """In the first step, at a column of a whole vector and at one of the rest."""
    outputs, gradients = poisoned("zx", (0, 1, column))
    assert {"h", "last h"} <= with_nan(outputs)
    assert with_nan(gradients) & set(poisoned.problem.matrices)
    # Rows are apart.
    assert np.isfinite(outputs["h"][:, [0, 2]]).all() and np.isfinite(gradients["zx"][:, [0, 2]]).all()


def test_in_a_state_a_matrix_and_a_vector(poisoned):
    problem = poisoned.problem
    names = [f"s_{name}" for name in problem.cell.state_fields]
    for name in (*names, *problem.matrices, *problem.vectors):
        outputs, gradients = poisoned(name, (0,) * problem.values[name].ndim)
        assert "last h" in with_nan(outputs), name
        assert with_nan(gradients), name


def test_in_the_gradient_of_an_output(poisoned):
    outputs, gradients = poisoned("h", (2, 1))
    assert not with_nan(outputs)
    # Back through all steps.
    assert np.isnan(gradients["zx"][0, 1]).any() and with_nan(gradients) >= set(poisoned.problem.matrices)
