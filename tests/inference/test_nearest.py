"""The search for the nearest vectors, against one that sorts the cosines of all vectors, computed one by one."""

import os

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.inference import nearest
from charrnn.inference.nearest import Found, Nearest
from charrnn.text import cache

WIDTH = 6


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Return vectors whose directions vary by different amounts and together, around a mean that is not zero."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, WIDTH)) * (5, 3, 1, 1, 0.5, 0.1) @ rng.normal(size=(WIDTH, WIDTH))
    return (mixed + np.arange(WIDTH)).astype(np.float32)


def collection(vectors: np.ndarray, whiten: bool, sizes: tuple[int, ...] = (1, 50, 7)) -> Nearest:
    """Return a collection to which vectors were added in portions."""
    found = Nearest(WIDTH, whiten)
    for portion in np.split(vectors, np.cumsum(sizes)):
        found.add(portion)
    return found


def cosine(one: np.ndarray, other: np.ndarray, inverse: np.ndarray) -> float:
    """Return the cosine in a space whose inner product has a matrix."""
    return float(one @ inverse @ other / np.sqrt((one @ inverse @ one) * (other @ inverse @ other)))


def expected(vectors: np.ndarray, queries: np.ndarray, whiten: bool) -> np.ndarray:
    """Return the cosines of queries and vectors, (queries, vectors)."""
    wide, mean = vectors.astype(np.float64), vectors.mean(axis=0, dtype=np.float64)
    # White vectors have the inner product of the inverse covariance, whatever their axes are.
    inverse = np.linalg.inv(np.cov(wide.T)) if whiten else np.eye(WIDTH)
    return np.array([[cosine(query - mean, vector - mean, inverse) for vector in wide] for query in queries])


def cosines(found: list[Found]) -> np.ndarray:
    return np.array([one.steps for one in found]) * nearest.STEP


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("numbers", [1, 40, 1 << 20])
@pytest.mark.parametrize("top", [1, 5, 1000])
def test_the_nearest_vectors_are_found(whiten, numbers, top, monkeypatch):
    monkeypatch.setattr(nearest, "NUMBERS", numbers)
    vectors = drawn(200)
    queries = np.concatenate([drawn(6, seed=1), vectors[[150, 3]]])
    wanted = expected(vectors, queries, whiten)
    found = collection(vectors, whiten).search(queries, top)
    for own, row in zip(found, wanted, strict=True):
        order = np.argsort(-row)[:top]
        assert own.places.tolist() == order.tolist()
        assert np.abs(own.steps * nearest.STEP - row[order]).max() < 3e-5
    assert found[-2].places[0] == 150 and found[-2].steps[0] * nearest.STEP == pytest.approx(1, abs=1e-9)


def test_whitening_changes_what_is_near():
    vectors = drawn(200)
    plain, white = (collection(vectors, whiten).search(drawn(5, seed=2), 10) for whiten in (False, True))
    assert any(one.places.tolist() != other.places.tolist() for one, other in zip(plain, white, strict=True))


@pytest.mark.parametrize("numbers", [1, 20, 1 << 20])
@pytest.mark.parametrize("whiten", [False, True])
def test_of_equally_near_vectors_the_first_come_first(numbers, whiten, monkeypatch):
    monkeypatch.setattr(nearest, "NUMBERS", numbers)
    vectors = drawn(40)
    # They differ by rounding, as the vectors of a line do that is read beside others.
    rounding = 1 + np.random.default_rng(0).uniform(-1e-7, 1e-7, (4, WIDTH))
    vectors[[31, 4, 17, 9]] = vectors[9] * rounding
    query = vectors[[9]] + 0.02 * vectors[[0]]
    (found,) = collection(vectors, whiten).search(query, 3)
    assert found.places.tolist() == [4, 9, 17] and len(set(found.steps.tolist())) == 1
    assert found.steps[0] * nearest.STEP < 0.99999


@pytest.mark.parametrize("whiten", [False, True])
def test_vectors_that_are_all_equal_are_no_nearer_than_others(whiten):
    rng = np.random.default_rng(0)
    for vectors in (drawn(1), np.zeros((5, WIDTH), np.float32), drawn(1) * (1 + rng.normal(0, 2e-7, (9, WIDTH)))):
        found = collection(vectors.astype(np.float32), whiten).search(np.concatenate([drawn(2, 5), vectors[:1]]), 3)
        assert [one.places.tolist() for one in found] == [list(range(min(3, len(vectors))))] * 3
        assert not cosines(found).any()


def test_a_large_mean_hides_no_difference():
    vectors = drawn(100)
    vectors[:, 0] += 3000
    queries = vectors[:3] + 0.1 * drawn(3, seed=3)
    queries[:, 0] = vectors[:3, 0]
    wanted = expected(vectors, queries, whiten=True)
    found = collection(vectors, whiten=True).search(queries, 5)
    assert [one.places.tolist() for one in found] == [np.argsort(-row)[:5].tolist() for row in wanted]


def test_fewer_vectors_than_numbers_in_each_are_whitened():
    vectors = drawn(4)
    found = collection(vectors, whiten=True).search(vectors, 4)
    assert [one.places[0] for one in found] == [0, 1, 2, 3]
    assert [one.steps[0] for one in found] == [round(1 / nearest.STEP)] * 4
    # Four white vectors around their mean are the corners of a regular body.
    np.testing.assert_allclose(cosines(found)[:, 1:], -1 / 3, atol=1e-3)


def test_nothing_is_found_in_nothing():
    (found,) = Nearest(WIDTH, whiten=True).search(drawn(1), 3)
    assert len(found.places) == len(found.steps) == 0
    assert collection(drawn(5), whiten=False).search(drawn(0), 3) == []


@pytest.mark.parametrize("whiten", [False, True])
def test_vectors_that_are_not_numbers_are_told(whiten):
    vectors = drawn(5)
    vectors[3, 2] = np.nan
    with pytest.raises(CharRNNError, match="not finite"):
        collection(vectors, whiten).search(drawn(1), 3)


def test_large_collections_are_on_disk(monkeypatch):
    monkeypatch.setattr(cache, "IN_MEMORY", 1000)
    vectors = drawn(200)
    found = collection(vectors, whiten=False)
    assert found._file._rolled
    assert [one.places[0] for one in found.search(vectors[::7], 1)] == list(range(0, 200, 7))
    found.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
@pytest.mark.parametrize("count", [10, 10_000])
def test_a_full_disk_is_told(count, monkeypatch):
    monkeypatch.setattr(nearest, "spool", lambda: open("/dev/full", "r+b"))  # noqa: SIM115
    full = Nearest(WIDTH)
    with pytest.raises(CharRNNError, match=r"The cache .* cannot be written: No space left on device"):
        full.add(drawn(count))
        full.search(drawn(1), 1)
    full.close()
