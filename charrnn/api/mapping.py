"""Maps of two dimensions: places of lines, so that lines with similar vectors are near. Needs scikit-learn."""

from typing import NamedTuple

import numpy as np

from charrnn.api.generation import Notify
from charrnn.api.given import check_one_of, check_whole
from charrnn.api.texts import labelled_texts, texts
from charrnn.api.vectors import Joined, in_portions
from charrnn.config import MAPS, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.vectors import check_finite

# For more vectors t-SNE would take too long; fewer than the least ones are no map.
MOST, LEAST = 20_000, 3
# What t-SNE takes for the number of neighbours of a vector, where there are enough of them.
PERPLEXITY = 30.0
# With fewer vectors than this, t-SNE uses one thread: several would wait for each other for longer than they compute.
ONE_THREAD = 5000
# A number of the vectors varies if its standard deviation is more than this part of the largest number of all.
VARIES = 1e-5


class Map(NamedTuple):
    """The places of vectors on a map, float64 (vectors, 2).

    `shares`: of principal components, the part of the variance of the vectors that each of the two has.
    """

    points: np.ndarray
    shares: tuple[float, float] | None = None


class Lines(NamedTuple):
    """Lines of a map, and their labels, if they have any."""

    texts: list[str]
    labels: list[str] | None = None


def check_method(method: str, seed: int | None) -> None:
    """Raise CharRNNError unless a map can be made with a method, and a seed that it needs."""
    check_one_of("method", method, MAPS)
    if seed is not None:
        # What scikit-learn takes for a seed.
        check_whole("seed", seed, least=0, most=2**32 - 1)
        if method == "pca":
            raise CharRNNError("`seed` has no effect with `method='pca'`.", hint="Leave it out.")
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise CharRNNError(
            "A map needs scikit-learn, which is not installed.", hint="Install it: pip install 'charrnn[probe]'"
        ) from None


def labelled_lines(
    source: str,
    config: TextConfig,
    method: str,
    field: str | None,
    label_field: str | None,
    labels: bool,
    notify: Notify,
) -> Lines:
    """Return the lines of a file, or of stdin (-), with their labels if there are any; or the texts of its records.

    labels: each line is a label, a tab and a text. field, label_field: the names of text and label in each record.
    Raise CharRNNError if there are more than `method` can place.
    """
    if labels or label_field is not None:
        found = labelled_texts(source, config, field, label_field, notify)
        check_most(method, len(found))
        return Lines([one.text for one in found], [one.label for one in found])
    read: list[str] = []
    for portion in texts(source, config, field, False, notify):
        read += portion
        check_most(method, len(read))
    return Lines(read)


def map_of(joined: Joined, lines: list[str], method: str, seed: int) -> Map:
    """Return the map of lines, whose vectors `joined` makes."""
    vectors = [found for _, found in joined.each(in_portions(lines))]
    return mapped(np.concatenate([np.zeros((0, joined.width), np.float32), *vectors]), method, seed)


def check_most(method: str, count: int) -> None:
    """Raise CharRNNError if so many vectors are too many for a method."""
    if method == "tsne" and count > MOST:
        raise CharRNNError(
            f"There are more than {MOST:,} lines; `method='tsne'` would take too long.",
            hint="Use `method='pca'`, or fewer lines, such as a random choice of them.",
        )


def mapped(vectors: np.ndarray, method: str, seed: int) -> Map:
    """Return the map of vectors, (vectors, width); their numbers are standardized first."""
    if len(vectors) < LEAST:
        there = "is 1" if len(vectors) == 1 else f"are {len(vectors)}"
        raise CharRNNError(f"A map needs at least {LEAST} lines; there {there}.")
    check_finite(vectors)
    deviations = vectors.std(axis=0, dtype=np.float64)
    varies = deviations > VARIES * np.abs(vectors).max()
    # Without scikit-learn's warnings about vectors that are all equal: they are all in one place.
    if not varies.any():
        return Map(np.zeros((len(vectors), 2)), (0.0, 0.0) if method == "pca" else None)
    means = vectors.mean(axis=0, dtype=np.float64)
    standard = (vectors[:, varies] - means[varies].astype(np.float32)) / deviations[varies].astype(np.float32)
    return Map(_tsne(standard, seed)) if method == "tsne" else _pca(standard, seed)


def _pca(vectors: np.ndarray, seed: int) -> Map:
    from sklearn.decomposition import PCA

    pca = PCA(min(2, vectors.shape[1]), random_state=seed)
    points = np.zeros((len(vectors), 2))
    found = pca.fit_transform(vectors)
    points[:, : found.shape[1]] = found
    shares: list[float] = [*pca.explained_variance_ratio_.tolist(), 0.0]
    return Map(points, (shares[0], shares[1]))


def _tsne(vectors: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    start = "pca" if vectors.shape[1] > 1 else "random"
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed)
    # The places do not depend on the number of threads.
    with threadpool_limits(1 if len(vectors) < ONE_THREAD else None, user_api="openmp"):
        points: np.ndarray = tsne.fit_transform(vectors).astype(np.float64)
    return points
