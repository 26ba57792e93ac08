"""Logistic regression by scikit-learn, which chooses how much its weights are penalized by cross-validation."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.cores import usable_cores
from charrnn.errors import CharRNNError
from charrnn.inference.ops import softmax

# The inverse strengths of the penalty that are tried: for standardized vectors, and for frequencies of n-grams.
STRENGTHS = tuple(10.0**power for power in range(-4, 2))
STRENGTHS_OF_NGRAMS = tuple(10.0**power for power in range(-1, 4))
FOLDS = 5
# The baseline counts sequences of at most this many characters, and at most so many different ones.
LONGEST_NGRAM, MOST_NGRAMS = 5, 300_000
# A search for the weights ends after this many steps.
STEPS = 1000


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted regression: weights, (labels, width), bias, (labels,), and the chosen inverse strength `c`.

    converged: whether the search for the weights came to its end.
    """

    weights: np.ndarray
    bias: np.ndarray
    c: float
    converged: bool

    def probabilities(self, vectors: Any) -> np.ndarray:
        """Return the probabilities of the labels, (texts, labels), for vectors, (texts, width), maybe sparse."""
        return softmax(np.asarray(vectors @ self.weights.T) + self.bias, axis=1)


def check_scikit_learn() -> None:
    """Raise CharRNNError if scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise CharRNNError(
            "A probe is fitted by scikit-learn, which is not installed.",
            hint="Install it: pip install 'charrnn[probe]'",
        ) from None


def fit(vectors: Any, true: np.ndarray, strengths: Sequence[float], penalty: str, seed: int) -> Fit:
    """Return the regression from vectors, (texts, width), to the numbers of labels, (texts,).

    strengths: the inverse strengths of the penalty ("l2" or "l1") that are tried, ascending; with a single one nothing
    is chosen. The chosen one has the lowest loss in cross-validation. That has FOLDS folds, or fewer if a label has
    fewer texts; in each fold the labels are as frequent as in all texts. seed: of the folds.
    """
    from threadpoolctl import threadpool_limits

    # The products are small: the folds are computed side by side instead, with one thread each.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        # `converged` says this.
        warnings.filterwarnings("ignore", message="(?s).*(failed to converge|max_iter was reached)")
        c = strengths[0] if len(strengths) == 1 else _chosen(vectors, true, strengths, penalty, seed)
        model = _regression(penalty, true, seed).set_params(C=c).fit(vectors, true)
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:
        # Of two labels scikit-learn has the weights of the second one: half of them, for and against, mean the same.
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return Fit(weights, bias, c, bool(np.max(model.n_iter_) < STEPS))


def _chosen(vectors: Any, true: np.ndarray, strengths: Sequence[float], penalty: str, seed: int) -> float:
    """Return the strength with the lowest loss of held-out texts, which has one minimum."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    count = min(FOLDS, int(np.bincount(true).min()))
    folds = list(StratifiedKFold(count, shuffle=True, random_state=seed).split(np.zeros(len(true)), true))
    # Exact enough for a choice, and twice as fast.
    vectors = vectors.astype(np.float32)
    # Each search goes on from the weights of the strength before it.
    models = [_regression(penalty, true, seed, choosing=True) for _ in folds]
    # liblinear has one generator of random numbers for all threads.
    workers = 1 if models[0].solver == "liblinear" else min(count, usable_cores())
    losses: list[float] = []

    def loss(fold: int) -> float:
        train, test = folds[fold]
        model = models[fold].set_params(C=strengths[len(losses)]).fit(vectors[train], true[train])
        return float(log_loss(true[test], model.predict_proba(vectors[test]), normalize=False))

    with ThreadPoolExecutor(workers) as pool:
        while len(losses) < len(strengths):
            losses.append(sum(pool.map(loss, range(count))))
            # The weaker the penalty, the longer the search.
            if losses[-1] > min(losses):
                break
    return strengths[int(np.argmin(losses))]


def _regression(penalty: str, true: np.ndarray, seed: int, choosing: bool = False) -> Any:
    """Return a regression that is not fitted yet; `choosing` one that is less exact, and is fitted several times."""
    from sklearn.linear_model import LogisticRegression

    l1 = penalty == "l1"
    solver = "lbfgs" if not l1 else "liblinear" if true.max() == 1 else "saga"
    how: dict[str, Any] = {"l1_ratio": float(l1), "solver": solver, "max_iter": STEPS, "random_state": seed}
    if l1:
        # liblinear penalizes the bias too, the less the larger this number is.
        how |= {"tol": 1e-2 if choosing else 1e-3, "intercept_scaling": 10.0}
    return LogisticRegression(**how, warm_start=choosing)


def ngrams(train: Sequence[str], held_out: Sequence[str]) -> tuple[Any, Any]:
    """Return how frequent sequences of up to LONGEST_NGRAM characters are in texts, as two sparse matrices.

    The sequences are those of the training texts, at most the MOST_NGRAMS most frequent ones; rare ones weigh more
    (tf-idf).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    counter = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, LONGEST_NGRAM),
        max_features=MOST_NGRAMS,
        lowercase=False,
        sublinear_tf=True,
        dtype=np.float32,
    )
    return counter.fit_transform(train), counter.transform(held_out)
