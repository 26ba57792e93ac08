"""That gated cells learn to remember across 100 steps of noise, and that a plain network does not."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import recall

pytestmark = pytest.mark.trains

SEEDS = (0, 1, 2)


def test_a_sequence_is_a_symbol_noise_and_the_query():
    ids = recall.sequences(np.random.default_rng(0), 500, 30)
    assert ids.shape == (32, 500) and ids.dtype == np.int32
    assert set(ids[0]) == set(range(recall.SYMBOLS)) and set(ids[-1]) == {recall.QUERY}
    assert set(ids[1:-1].flat) == set(range(recall.SYMBOLS, recall.QUERY))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cell", recall.REMEMBER)
def test_gates_remember(cell, seed):
    assert recall.accuracy(cell, seed).accuracy >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_network_does_not(seed):
    result = recall.accuracy("rnn", seed)
    assert result.steps == recall.CONFIG.steps and result.accuracy < 0.2
