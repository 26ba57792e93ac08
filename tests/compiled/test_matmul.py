"""Products of matrices with many rows, against NumPy's in float64, with all kinds of kernels."""

import numpy as np
import pytest

from charrnn.compiled.machine import Machine
from charrnn.compiled.matmul import STRIP, MatMul
from charrnn.compiled.product import CHUNK
from support.vectors import restricted

FORMS = {"ab": lambda a, b: a @ b, "abt": lambda a, b: a @ b.T, "atb": lambda a, b: a.T @ b}
ROWS = STRIP * Machine().rows
# More than one strip, chunk and panel, and edges of all of them; numbers that no vector divides.
SIZES = [(1, 1, 1), (3, 1, 70), (ROWS, 7, 16), (ROWS + 1, 33, 65), (2 * ROWS + 5, 2 * CHUNK + 3, 19), (17, CHUNK, 48)]
RELATIVE = {"float32": 1e-5, "float64": 1e-13}


def run(form: str, dtype: str, a: np.ndarray, b: np.ndarray, machine: Machine | None = None) -> np.ndarray:
    """Return a product; whatever is in memory does not matter, and nothing beyond its arrays is written."""
    (k, m) = a.shape if form == "atb" else a.shape[::-1]
    n = b.shape[0 if form == "abt" else 1]
    code = MatMul(form, dtype, machine)
    sizes = [m * n, *code.memory(m, k, n)]
    arrays = [np.full(size + 64, np.nan, dtype) for size in sizes]
    code.run((m, k, n), [a, b], [array[:-64] for array in arrays])
    assert all(np.isnan(array[-64:]).all() for array in arrays)
    return arrays[0][:-64].reshape(m, n)


def assert_right(form: str, dtype: str, m: int, k: int, n: int, machine: Machine | None = None) -> None:
    rng = np.random.default_rng(m + k + n)
    a, b = rng.normal(size=(k, m) if form == "atb" else (m, k)), rng.normal(size=(n, k) if form == "abt" else (k, n))
    a, b = a.astype(dtype), b.astype(dtype)
    found = run(form, dtype, a, b, machine)
    a, b = a.astype("float64"), b.astype("float64")
    assert (abs(found - FORMS[form](a, b)) <= RELATIVE[dtype] * FORMS[form](abs(a), abs(b))).all()


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_products_equal_those_of_numpy(form, sizes, dtype):
    assert_right(form, dtype, *sizes)


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("form", FORMS)
def test_every_width_of_vectors(form, width, dtype):
    assert_right(form, dtype, 131, CHUNK + 37, 67, Machine(features=restricted(width)))


@pytest.mark.parametrize("shape", [(64, 10, 2), (16, 8, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_kernels_of_other_processors(form, shape):
    """Those for AVX-512 and for ARM: LLVM cuts vectors that are too wide."""
    machine = Machine()
    machine.vector_bytes, machine.rows, machine.vectors = shape
    assert_right(form, "float32", 131, CHUNK + 37, 67, machine)


@pytest.mark.parametrize("form", FORMS)
def test_a_nan_spoils_its_row_and_column_alone(form):
    a, b = np.ones((37, 37), np.float32), np.ones((37, 37), np.float32)
    a[3, 5], b[36, 4] = np.nan, np.nan
    spoiled = np.zeros((37, 37), bool)
    spoiled[5 if form == "atb" else 3] = spoiled[:, 36 if form == "abt" else 4] = True
    np.testing.assert_array_equal(np.isnan(run(form, "float32", a, b)), spoiled)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, k, n", [(0, 3, 5), (5, 3, 0), (5, 0, 35)])
def test_nothing_to_do(form, m, k, n):
    assert_right(form, "float32", m, k, n)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_does_not_depend_on_the_others(form):
    """So a step is the same however a batch is cut, where rows are those of the batch."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 70) if form == "atb" else (70, 300)).astype(np.float32)
    b = rng.normal(size=(33, 300) if form == "abt" else (300, 33)).astype(np.float32)

    def rows(first: int, last: int) -> np.ndarray:
        return run(form, "float32", np.ascontiguousarray(a[:, first:last] if form == "atb" else a[first:last]), b)

    np.testing.assert_array_equal(rows(0, 70), np.concatenate([rows(0, 13), rows(13, 70)]))
