"""The classifier's output: the mean since the beginning of the document, against a loop."""

from itertools import pairwise

import numpy as np
import pytest

from charrnn.inference import ops
from charrnn.network import pooling
from charrnn.network.pooling import Pool, running_mean

TIME, BATCH, CLASSES = 40, 5, 3


def looped(logits: np.ndarray, pool: Pool, reset: np.ndarray | None) -> tuple[np.ndarray, Pool]:
    total, count, means = pool.total.copy(), pool.count.copy(), np.empty_like(logits)
    for t, now in enumerate(logits):
        if reset is not None:
            total[reset[t]], count[reset[t]] = 0, 0
        total, count = total + now, count + 1
        means[t] = total / count
    return means, Pool(total, count)


class Namespace:
    """NumPy with the functions that it lacks."""

    def __getattr__(self, name):
        return getattr(ops, name, None) or getattr(np, name)


@pytest.mark.parametrize("steps", [256, 16])
@pytest.mark.parametrize("resets", [0.0, 0.1, 0.6, None])
def test_means_are_those_of_a_loop_in_one_window_and_in_several(resets, steps, monkeypatch):
    monkeypatch.setattr(pooling, "STEPS", steps)
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(TIME, BATCH, CLASSES))
    reset = None if resets is None else rng.random((TIME, BATCH)) < resets
    pool = Pool(rng.normal(size=(BATCH, CLASSES)), np.full((BATCH, 1), 7.0))
    expected, after = looped(logits, pool, reset)
    bounds = [0, 1, 13, 30, TIME]
    for cuts in ([0, TIME], bounds):
        found, now = [], pool
        for low, high in pairwise(cuts):
            means, now = running_mean(Namespace(), logits[low:high], now, None if reset is None else reset[low:high])
            found.append(means)
        assert np.abs(np.concatenate(found) - expected).max() < 1e-12
        assert np.abs(now.total - after.total).max() < 1e-12 and np.array_equal(now.count, after.count)


def test_before_a_document_nothing_is_pooled():
    logits = np.ones((2, 1, 2))
    means, after = running_mean(Namespace(), logits, Pool(np.zeros((1, 2)), np.zeros((1, 1))), None)
    assert np.array_equal(means, logits) and after.count[0, 0] == 2
