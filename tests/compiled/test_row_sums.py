"""The gradient of a look-up in compiled code."""

import numpy as np
import pytest

from charrnn.compiled.row_sums import RowSums


@pytest.mark.parametrize("width, dtype", [(1, "float32"), (37, "float64"), (64, "float32")])
def test_the_rows_are_added_up_in_their_order(width, dtype):
    rng = np.random.default_rng(0)
    d, ids = rng.normal(size=(50, width)).astype(dtype), rng.integers(0, 5, 50).astype(np.int32)
    sums, expected = np.full((7, width), np.nan, dtype), np.zeros((7, width), dtype)
    RowSums(width, dtype).run((50, 7), [d, ids], [sums])
    for row, id in zip(d, ids, strict=True):
        expected[id] += row
    np.testing.assert_array_equal(sums, expected)
    assert not sums[5:].any() and sums[:5].all()
