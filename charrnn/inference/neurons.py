"""Which units follow which features of a text: their correlations, and how often gates are open or shut.

Karpathy, Johnson & Li 2015, "Visualizing and understanding recurrent networks": a gate is right-saturated where it is
above 0.9, and left-saturated where it is below 0.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from charrnn.cells.gates import gates
from charrnn.data.parts import Part
from charrnn.inference.activations import STRETCHES, Tell, documents, read
from charrnn.inference.generation import not_a_number
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.inference.vectors import side_by_side
from charrnn.network.units import fields, unit_names
from charrnn.text.features import Feature

# The limits of Karpathy, Johnson & Li.
RIGHT, LEFT = 0.9, 0.1
# A feature that holds at fewer places than this, or does not at fewer, has no correlation.
FEWEST = 20
# States are collected before their sums are computed: about so many numbers.
ROOM = 1 << 21
# A unit with a smaller deviation, as a part of its mean, is constant but for rounding.
CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Gate:
    """A gate of a layer: the fraction of time for which it is open (`right`) and shut (`left`), (units,) each."""

    layer: int
    name: str
    right: np.ndarray
    left: np.ndarray

    def __str__(self) -> str:
        return f"layer{self.layer}/{self.name}"


@dataclass(frozen=True, eq=False)
class Neurons:
    """What the units of a model did while it read a text of so many `characters`.

    correlations: Pearson's, (features, units), NaN for a feature that hardly varies and for a unit that never does.
    means: of each feature; of one that holds or does not (`holds`), the fraction of the characters at which it does.
    """

    characters: int
    features: tuple[str, ...]
    holds: tuple[bool, ...]
    means: np.ndarray
    names: tuple[str, ...]
    correlations: np.ndarray
    gates: tuple[Gate, ...]

    def best(self, feature: str, top: int = 1) -> list[tuple[str, float]]:
        """Return the names and the correlations of the `top` units that tell a feature best, whatever the sign."""
        row = self.correlations[self.features.index(feature)]
        order = np.argsort(-np.abs(np.nan_to_num(row)), kind="stable")[:top]
        return [(self.names[place], float(row[place])) for place in order if not np.isnan(row[place])]

    def to_json(self, top: int = 1) -> dict[str, Any]:
        """Return the values by name: of each feature the `top` units, of each gate the fractions of all units."""
        features = [
            {
                "feature": feature,
                "share" if holds else "mean": mean,
                "units": [{"unit": name, "r": r} for name, r in self.best(feature, top)],
            }
            for feature, holds, mean in zip(self.features, self.holds, self.means.tolist(), strict=True)
        ]
        gates = [{"gate": str(gate), "open": gate.right.tolist(), "shut": gate.left.tolist()} for gate in self.gates]
        return {"characters": self.characters, "features": features, "gates": gates}


class Moments:
    """Means, squared deviations and products of deviations of features and units, of any number of characters.

    Chan, Golub & LeVeque 1979: sums are of deviations from the mean, so that nothing is lost where the mean is large.
    `means` and `squares` are those of the features, then those of the units.
    """

    def __init__(self, features: int, units: int):
        self.features, self.count = features, 0
        self.means, self.squares = np.zeros(features + units), np.zeros(features + units)
        self.products = np.zeros((features, units))

    def add(self, values: np.ndarray) -> None:
        """Add characters: their features, then their units, float64 (characters, features + units)."""
        block = Moments(self.features, 0)
        block.count, block.means = len(values), values.mean(axis=0)
        apart = values - block.means
        block.squares = np.square(apart).sum(axis=0)
        block.products = apart[:, : self.features].T @ apart[:, self.features :]
        self.merge(block)

    def merge(self, other: "Moments") -> None:
        """Add the characters of others."""
        count, gap = self.count + other.count, other.means - self.means
        if count:
            weight = self.count * other.count / count
            self.squares = self.squares + other.squares + weight * np.square(gap)
            gaps = np.outer(gap[: self.features], gap[self.features :])
            self.products = self.products + other.products + weight * gaps
            self.means = self.means + gap * (other.count / count)
            self.count = count

    def correlations(self) -> np.ndarray:
        """Return Pearson's correlations, (features, units); NaN where one of both is constant."""
        deviations = np.sqrt(self.squares / max(1, self.count))
        norms = np.where(deviations > CONSTANT * np.abs(self.means), np.sqrt(self.squares), np.nan)
        return np.clip(self.products / np.outer(norms[: self.features], norms[self.features :]), -1, 1)


class _Sums:
    """What is summed up of the steps of one stream."""

    def __init__(self, model: Model, features: np.ndarray):
        self.features, self.fields = features, fields(model.config)
        self.units = len(self.fields) * model.config.units
        self.moments = Moments(features.shape[1], self.units)
        self.saturated: list[np.ndarray] = []
        self._places: list[np.ndarray] = []
        self._states: list[np.ndarray] = []
        self._room = ROOM
        self._gates: list[np.ndarray] | None = None

    def watch(self, stream: Stream, places: np.ndarray) -> None:
        """Take in a step."""
        live = places >= 0
        if not live.any():
            return
        if self._gates is None:
            self._gates = gate_values(stream)
            self.saturated = [np.zeros((2, values.shape[-1]), np.int64) for values in self._gates]
        for values, counts in zip(self._gates, self.saturated, strict=True):
            of = values.reshape(stream.batch, -1)[live]
            counts += np.stack([(of > RIGHT).sum(axis=0), (of < LEFT).sum(axis=0)])
        self._places.append(places[live])
        self._states.append(side_by_side(stream, self.fields)[live])
        self._room -= self._states[-1].size
        if self._room <= 0:
            self.flush()

    def flush(self) -> None:
        """Add to the moments what has been collected."""
        if self._states:
            features = self.features[np.concatenate(self._places)]
            values = np.concatenate([features, np.concatenate(self._states)], axis=1, dtype=np.float64)
            if not np.isfinite(values).all():
                raise not_a_number()
            self.moments.add(values)
            self._places, self._states, self._room = [], [], ROOM


def gate_values(stream: Stream) -> list[np.ndarray]:
    """Return the arrays that have the values of all gates after each step, (batch, units) or (units,), by layer."""
    return [
        plan.arrays[gate.node][..., gate.low : gate.low + stream.units]
        for cell, plan in zip(stream.layers, stream.plans, strict=True)
        for gate in gates(cell, plan.trace.nodes, stream.units)
    ]


def gate_names(stream: Stream) -> list[tuple[int, str]]:
    """Return the layer and the name of each gate, in the order of `gate_values`."""
    return [
        (layer, gate.name)
        for layer, (cell, plan) in enumerate(zip(stream.layers, stream.plans, strict=True))
        for gate in gates(cell, plan.trace.nodes, stream.units)
    ]


def measured(model: Model, part: Part, features: Sequence[Feature]) -> np.ndarray:
    """Return the features at each character of a text, float32 (characters, features); documents are apart."""
    out = np.zeros((len(part), len(features)), np.float32)
    for places in documents(model, part):
        # People read a document from its beginning; the model predicts in the order in which it reads.
        ordered = np.sort(places)
        texts = model.vocab.decode(part.at(ordered)), model.vocab.decode(part.at(places))
        for number, feature in enumerate(features):
            out[places if feature.ahead else ordered, number] = feature.of(texts[feature.ahead])
    return out


def neurons(model: Model, part: Part, features: Sequence[Feature], tell: Tell | None = None) -> Neurons:
    """Return what the units of a model do while it reads a text."""
    found = measured(model, part, features)
    all_sums: list[_Sums] = []

    def watcher(values: np.ndarray) -> "partial[None]":
        all_sums.append(_Sums(model, values))
        return partial(_Sums.watch, all_sums[-1])

    read(model, part, partial(watcher, found), STRETCHES, tell)
    moments = Moments(len(features), all_sums[0].units)
    for sums in all_sums:
        sums.flush()
        moments.merge(sums.moments)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = moments.correlations()
    true = np.count_nonzero(found, axis=0)
    holds = tuple(feature.of("a").dtype == bool for feature in features)
    for number, yes_or_no in enumerate(holds):
        if true[number] < FEWEST or (yes_or_no and len(found) - true[number] < FEWEST):
            correlations[number] = np.nan
    of = fields(model.config)
    return Neurons(
        moments.count,
        tuple(feature.name for feature in features),
        holds,
        moments.means[: len(features)],
        tuple(unit_names(model.config, of)),
        correlations,
        tuple(_saturations(model, all_sums, moments.count)),
    )


def _saturations(model: Model, all_sums: Sequence[_Sums], count: int) -> list[Gate]:
    """Return how often the gates of all layers were open and shut."""
    stream = Stream(model)
    names = gate_names(stream)
    counted = [sums.saturated for sums in all_sums if sums.saturated]
    totals = [np.sum(counts, axis=0) / count for counts in zip(*counted, strict=True)]
    return [Gate(*name, total[0], total[1]) for name, total in zip(names, totals, strict=True)]
