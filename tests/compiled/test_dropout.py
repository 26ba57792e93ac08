"""Dropout in compiled code against Philox in Python, and its masks."""

import numpy as np
import pytest

from charrnn.compiled.dropout import Dropout

SEED, STEP = 0x123456789ABCDEF0, 2**32 + 7


def philox(key: int, counter: tuple[int, int, int, int]) -> list[int]:
    """Return four words for a counter (Salmon et al. 2011)."""
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & 0xFFFFFFFF, first >> 32 ^ c[3] ^ k[1], first & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def masked(
    dropout: Dropout, x: np.ndarray, layer: int = 1, first_row: int = 0, step: int = STEP, seed: int = SEED
) -> np.ndarray:
    y = np.full_like(x, np.nan)
    words = np.array([seed & 0xFFFFFFFF, seed >> 32, step & 0xFFFFFFFF, step >> 32, layer, first_row], np.uint32)
    dropout.run(x.shape[:2], [x, words], [y])
    return y


def test_the_reference_gives_the_published_numbers():
    # The first known answer of the authors' Random123.
    assert philox(0, (0, 0, 0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("units, dtype", [(1, "float32"), (3, "float32"), (19, "float64"), (70, "float32")])
def test_every_number_is_that_of_the_counter(units, dtype):
    x = np.random.default_rng(0).normal(size=(2, 3, units)).astype(dtype)
    quarter, expected = -(-units // 4), np.zeros_like(x)
    for t, m, u in np.ndindex(*x.shape):
        word = philox(SEED, (t * quarter + u % quarter, 5 << 24 | 100 + m, 7, 1))[u // quarter]
        if word >= round(0.3 * 2**32):
            expected[t, m, u] = x[t, m, u] * np.array(1 / 0.7, dtype)
    np.testing.assert_array_equal(masked(Dropout(units, 0.3, dtype), x, 5, 100), expected)


@pytest.fixture(scope="module")
def third():
    return Dropout(48, 0.3, "float32")


def test_a_row_has_the_same_mask_however_the_batch_is_cut(third):
    ones = np.ones((4, 6, 48), np.float32)
    whole = masked(third, ones)
    parts = [masked(third, ones[:, :2].copy()), masked(third, ones[:, 2:].copy(), first_row=2)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


def test_masks_differ_between_steps_layers_and_seeds_and_keep_the_mean(third):
    ones = np.ones((40, 20, 48), np.float32)
    whole = masked(third, ones)
    others = [masked(third, ones, layer=0), masked(third, ones, step=STEP + 1), masked(third, ones, step=7)]
    others.append(masked(third, ones, seed=SEED ^ 1 << 40))
    for other in others:
        # Independent masks agree where both keep or both drop a number.
        assert abs(np.mean((whole > 0) == (other > 0)) - (0.7**2 + 0.3**2)) < 0.02
    assert abs(whole.mean() - 1) < 0.01 and set(np.unique(whole)) == {0.0, np.float32(1 / 0.7)}


def test_what_is_dropped_is_zero_even_if_it_was_infinite(third):
    infinite = np.full((2, 2, 48), np.inf, np.float32)
    dropped = masked(third, infinite)
    assert not np.isnan(dropped).any() and (dropped == 0).any()
