"""Fits probes with scikit-learn, and reports how good they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from charrnn.api import probe_report as made
from charrnn.api.examples import Examples, notices
from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_one_of, check_whole, one_or_several
from charrnn.api.model import Model
from charrnn.api.probing import Probe, probabilities, source_of, standardized, vectors
from charrnn.api.regression import STEPS, STRENGTHS, STRENGTHS_OF_NGRAMS, check_scikit_learn, fit, ngrams
from charrnn.api.vectors import Embedder
from charrnn.config import LAYER, PENALTIES, POOLS, STATE
from charrnn.errors import CharRNNError
from charrnn.runs.probe import ProbeRecord

# So many texts are read before `watch` is called.
PORTION = 1024
# A unit whose values differ less, relative to their size, does not change: only rounding makes the difference.
UNCHANGED = 1e-5

# A function that is called with the number of texts that have been read, and of all texts.
Watch = Callable[[int, int], None]
Labels = Iterable[str | int]


def probe(
    models: Model | Sequence[Model],
    texts: Iterable[str],
    labels: Labels,
    *,
    test: tuple[Iterable[str], Labels] | None = None,
    pool: str = POOLS[0],
    layer: int | None = LAYER,
    state: str | None = STATE,
    unknown: str | None = None,
    penalty: str = PENALTIES[0],
    seed: int = 0,
    notify: Notify = unheard,
    watch: Watch | None = None,
) -> tuple[Probe, made.ProbeReport]:
    """Fit logistic regression from the states of a model, or of several, to labels; return it with a report.

    texts, labels: to train on, a label for each text. test: held-out texts and their labels; None holds out a fifth of
    the texts, in which each label is about as frequent as in all of them. pool, layer, state, unknown: what a vector
    is, as in `Model.embed`. penalty: "l2", or "l1", with which many units get no weight. seed: of the held-out texts,
    of the folds of the cross-validation and of the report's samples. notify: is called with each message for the user;
    watch: with the number of texts that have been read, and of all. Raise CharRNNError if there is only one label, or
    if a label has a single text.
    """
    check_scikit_learn()
    check_one_of("penalty", penalty, PENALTIES)
    check_whole("seed", seed, 0, 2**32 - 1)
    several = one_or_several("models", models, Model, "a Model, or several in a list")
    if not several:
        raise CharRNNError("`models` is empty; it must have at least one Model.")
    embedders = [model.embedder(pool=pool, layer=layer, state=state, unknown=unknown) for model in several]
    given = [Examples.of(texts, labels, "texts"), *([] if test is None else [Examples.of(*test, "test")])]
    classes = given[0].classes()
    places = given[0].parted(seed) if test is None else None
    train, held_out = given if places is None else map(given[0].at, places)
    for notice in notices(train, held_out):
        notify(notice)
    read = _read(embedders, [one.texts for one in given], watch)
    found, found_held_out = read if places is None else (read[0][some] for some in places)
    true_labels = [*classes, *sorted(set(held_out.labels) - set(classes))]
    number = {label: place for place, label in enumerate(true_labels)}
    true, true_held_out = (np.array([number[label] for label in one.labels]) for one in (train, held_out))

    mean, scale = _moments(found)
    x, x_held_out = standardized(found, mean, scale), standardized(found_held_out, mean, scale)
    fitted = fit(x, true, STRENGTHS, penalty, seed)
    if not fitted.converged:
        notify(f"The search for the weights ended after {STEPS:,} steps, before it came to its end.")
    weights, bias = fitted.weights.astype(np.float32), fitted.bias.astype(np.float32)
    sources = tuple(map(source_of, several, embedders))
    record = ProbeRecord(
        tuple(classes), sources, pool, unknown, penalty, fitted.c, None, mean, scale, weights, bias
    )  # fmt: skip
    judged = probabilities(record, found_held_out)
    rated = made.rating(judged, true_held_out, seed, fitted.c)
    strongest = made.strongest(weights)
    runs = tuple(model.run for model in several)
    units = made.named_units(weights, strongest, embedders, runs, classes)
    best, one_unit = made.alone(x[:, strongest], true, x_held_out[:, strongest], true_held_out)
    most = int(np.bincount(true).argmax())
    report = made.ProbeReport(
        runs=runs,
        labels=tuple(classes),
        true_labels=tuple(true_labels),
        texts=len(train.texts),
        held_out=len(held_out.texts),
        width=len(mean),
        used=int(np.any(weights != 0, axis=0).sum()),
        penalty=penalty,
        seed=seed,
        probe=rated,
        ngrams=_baseline(train, held_out, true, true_held_out, seed),
        majority=made.Rating(made.share(np.full(len(true_held_out), most), true_held_out)),
        majority_label=classes[most],
        one_unit=one_unit,
        best_unit=units[best],
        confusion=made.confusion(judged.argmax(axis=1), true_held_out, len(true_labels)),
        units=tuple(units),
    )
    return Probe(replace(record, accuracy=rated.accuracy.value), embedders), report


def _read(embedders: Sequence[Embedder], lists: Sequence[Sequence[str]], watch: Watch | None) -> list[np.ndarray]:
    """Return the vectors of lists of texts, (texts, width) each; the texts of each are numbered from 1."""
    found, done, total = [], 0, sum(map(len, lists))
    for texts in lists:
        rows = np.empty((len(texts), sum(embedder.width for embedder in embedders)), np.float32)
        for low in range(0, len(texts), PORTION):
            if watch is not None:
                watch(done + low, total)
            rows[low : low + PORTION] = vectors(embedders, texts[low : low + PORTION], low + 1)
        found.append(rows)
        done += len(texts)
    if watch is not None:
        watch(total, total)
    return found


def _moments(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each number, float32; 1 in place of a deviation of almost 0."""
    mean, deviation = found.mean(axis=0, dtype=np.float64), found.std(axis=0, dtype=np.float64)
    unchanged = deviation <= UNCHANGED * np.maximum(1, np.abs(mean))
    return mean.astype(np.float32), np.where(unchanged, 1, deviation).astype(np.float32)


def _baseline(
    train: Examples, held_out: Examples, true: np.ndarray, true_held_out: np.ndarray, seed: int
) -> made.Rating | None:
    """Return how good the frequencies of n-grams of characters are; None if the training texts have no characters."""
    if not any(train.texts):
        return None
    counted, counted_held_out = ngrams(train.texts, held_out.texts)
    fitted = fit(counted, true, STRENGTHS_OF_NGRAMS, PENALTIES[0], seed)
    return made.rating(fitted.probabilities(counted_held_out), true_held_out, seed, fitted.c)
