"""Products of matrices with many rows, against NumPy's in float64; transposition, and what is packed."""

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


def product(form: str, dtype: str, m: int, k: int, n: int, machine: Machine | None = None) -> tuple:
    """Return a product, the exact one, and the sum of the sizes of what is added up."""
    rng = np.random.default_rng(m + k + n)
    a, b = rng.normal(size=(k, m) if form == "atb" else (m, k)), rng.normal(size=(n, k) if form == "abt" else (k, n))
    a, b = a.astype(dtype), b.astype(dtype)
    code = MatMul(form, dtype, machine)
    # Whatever is in memory does not matter; nothing beyond the result is written.
    memory = [np.full(size, np.nan, dtype) for size in code.memory(m, k, n)]
    whole = np.full(m * n + 64, np.nan, dtype)
    code.run((m, k, n), [a, b], [whole[: m * n].reshape(m, n), *memory])
    assert np.isnan(whole[m * n :]).all()
    a, b = a.astype("float64"), b.astype("float64")
    return whole[: m * n].reshape(m, n), FORMS[form](a, b), FORMS[form](abs(a), abs(b))


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_products_equal_those_of_numpy(form, sizes, dtype):
    found, expected, terms = product(form, dtype, *sizes)
    assert (abs(found - expected) <= RELATIVE[dtype] * terms).all()


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("form", FORMS)
def test_every_width_of_vectors(form, width):
    found, expected, terms = product(form, "float32", 131, 37, 67, Machine(features=restricted(width)))
    assert (abs(found - expected) <= RELATIVE["float32"] * terms).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_nan_spoils_its_row_and_column_alone(form):
    code = MatMul(form, "float32")
    a, b = np.ones((40, 40), np.float32), np.ones((40, 40), np.float32)
    a[3, 5] = np.nan
    c = np.empty((40, 40), np.float32)
    code.run((40, 40, 40), [a, b], [c, *(np.zeros(size, np.float32) for size in code.memory(40, 40, 40))])
    spoiled = np.zeros((40, 40), bool)
    spoiled[5 if form == "atb" else 3] = True
    np.testing.assert_array_equal(np.isnan(c), spoiled)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, n", [(0, 5), (5, 0)])
def test_nothing_to_do(form, m, n):
    found, *_ = product(form, "float32", m, 3, n)
    assert found.shape == (m, n)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_does_not_depend_on_the_others(form):
    """So a step is the same however a batch is cut, where rows are those of the batch."""
    code, rng = MatMul(form, "float32"), np.random.default_rng(0)
    a = rng.normal(size=(300, 70) if form == "atb" else (70, 300)).astype(np.float32)
    b = rng.normal(size=(33, 300) if form == "abt" else (300, 33)).astype(np.float32)

    def rows(first: int, last: int) -> np.ndarray:
        part = np.ascontiguousarray(a[:, first:last] if form == "atb" else a[first:last])
        m, c = last - first, np.empty((last - first, 33), np.float32)
        code.run((m, 300, 33), [part, b], [c, *(np.empty(size, np.float32) for size in code.memory(m, 300, 33))])
        return c

    np.testing.assert_array_equal(rows(0, 70), np.concatenate([rows(0, 13), rows(13, 70)]))
