"""The report of a probe: how often its labels are right, beside what is right without it, and which units count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.api.measures import Area, Share, area, share
from charrnn.api.regression import fit
from charrnn.api.vectors import Embedder
from charrnn.network.units import unit_names

# The units that are named; one of them is tried alone.
STRONGEST = 20


@dataclass(frozen=True)
class ProbedUnit:
    """A unit that a probe reads.

    unit: its name, such as "layer1/c/117". part: "first" or "last", if the vectors have the state after the first and
    after the last character, else None. run: of its model. label: the one that its weight is most for or against.
    weight: how much the logarithm of the probability of this label rises, against the mean of the others, if the unit
    is one standard deviation higher.
    """

    unit: str
    part: str | None
    run: str
    label: str
    weight: float

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: getattr(self, name) for name in ("unit", "part", "run", "label", "weight")}


@dataclass(frozen=True)
class Rating:
    """How good the labels of held-out texts are: how many are right, and the area under the curve, with intervals.

    c: the chosen inverse strength of the penalty, None if there is none.
    """

    accuracy: Share
    auc: Area | None = None
    c: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {
            **self.accuracy.to_json(),
            **({} if self.auc is None else self.auc.to_json()),
            **({} if self.c is None else {"c": self.c}),
        }


@dataclass(frozen=True, eq=False)
class ProbeReport:
    """How good a probe is on held-out texts.

    runs: of the models. labels: of the training texts. true_labels: these, and those that only held-out texts have.
    texts, held_out: the numbers of texts. width: how many numbers a vector has; used: how many of them have a weight.
    penalty, seed: as they were given. probe: the probe; ngrams: a regression on frequencies of n-grams of characters,
    None if the texts have no characters; majority: always majority_label, the most frequent one of the training texts;
    one_unit: best_unit alone, which of the strongest units is the best one on the training texts. confusion: how often
    each of true_labels was given (columns) to texts with each of them (rows). units: the strongest ones, in order.
    """

    runs: tuple[str, ...]
    labels: tuple[str, ...]
    true_labels: tuple[str, ...]
    texts: int
    held_out: int
    width: int
    used: int
    penalty: str
    seed: int
    probe: Rating
    ngrams: Rating | None
    majority: Rating
    majority_label: str
    one_unit: Rating
    best_unit: ProbedUnit
    confusion: tuple[tuple[int, ...], ...]
    units: tuple[ProbedUnit, ...]

    @property
    def accuracy(self) -> float:
        """Return the share of the held-out texts whose label is right."""
        return self.probe.accuracy.value

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {
            "runs": list(self.runs),
            "texts": self.texts,
            "held_out": self.held_out,
            "labels": list(self.labels),
            "width": self.width,
            "used": self.used,
            "penalty": self.penalty,
            "seed": self.seed,
            "probe": self.probe.to_json(),
            "ngrams": None if self.ngrams is None else self.ngrams.to_json(),
            "majority": {"label": self.majority_label, **self.majority.to_json()},
            "one_unit": {**self.best_unit.to_json(), **self.one_unit.to_json()},
            "true_labels": list(self.true_labels),
            "confusion": self.confusion,
            "units": [unit.to_json() for unit in self.units],
        }


def rating(probabilities: np.ndarray, true: np.ndarray, seed: int, c: float) -> Rating:
    """Return how good probabilities, (texts, labels), are; true: the numbers of the true labels, (texts,)."""
    return Rating(share(probabilities.argmax(axis=1), true), area(probabilities, true, seed), c)


def confusion(given: np.ndarray, true: np.ndarray, count: int) -> tuple[tuple[int, ...], ...]:
    """Return how often each label was given (columns) to texts with each true label (rows), of `count` labels."""
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (true, given), 1)
    return tuple(map(tuple, counts.tolist()))


def strongest(weights: np.ndarray) -> list[int]:
    """Return the places of the units with the largest weights, the largest first."""
    return np.argsort(-np.abs(contrasts(weights)).max(axis=0), kind="stable")[:STRONGEST].tolist()


def contrasts(weights: np.ndarray) -> np.ndarray:
    """Return the weights of each label against the mean of the others, (labels, width)."""
    return (weights - weights.mean(axis=0)) * len(weights) / (len(weights) - 1)


def named_units(
    weights: np.ndarray,
    places: Sequence[int],
    embedders: Sequence[Embedder],
    runs: Sequence[str],
    labels: Sequence[str],
) -> list[ProbedUnit]:
    """Return units by name, with their weights."""
    names, against = list(_names(embedders, runs)), contrasts(weights)
    units = []
    for place in places:
        column = against[:, place]
        # Of two labels one is for and one against, equally: the first of these is named.
        label = int(column.argmax() if column.max() >= -column.min() else column.argmin())
        units.append(ProbedUnit(*names[place], labels[label], float(column[label])))
    return units


def _names(embedders: Sequence[Embedder], runs: Sequence[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yield the names of the numbers of a vector, in their order."""
    for embedder, run in zip(embedders, runs, strict=True):
        for part in ("first", "last") if embedder.pool == "first-last" else (None,):
            for name in unit_names(embedder.reader.model.config, embedder.fields):
                yield name, part, run


def alone(train: np.ndarray, true: np.ndarray, held_out: np.ndarray, true_held_out: np.ndarray) -> tuple[int, Rating]:
    """Return which of some units alone labels the training texts best, and how good it is on the held-out texts.

    train, held_out: the standardized values of the units, (texts, units). Of equally good units it is the first.
    """
    fits = [fit(train[:, [place]], true, (1.0,), "l2", 0) for place in range(train.shape[1])]

    def given(place: int, values: np.ndarray) -> np.ndarray:
        return fits[place].probabilities(values[:, [place]]).argmax(axis=1)

    best = int(np.argmax([share(given(place, train), true).right for place in range(len(fits))]))
    return best, Rating(share(given(best, held_out), true_held_out))
