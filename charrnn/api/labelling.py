"""What labels lines: a probe, or a model that was trained with labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class LabelsLines(Protocol):
    """Labels lines; `labels` are in the order of the columns of `probabilities`."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(self, lines: Sequence[str], first: int = 1) -> np.ndarray:
        """Return the probability of each label for each line, (lines, labels); lines are numbered from `first`."""
        ...


@dataclass(frozen=True)
class Labelling:
    """A line with its likeliest label; `probabilities` has those of all labels, by label."""

    text: str
    label: str
    probability: float
    probabilities: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {
            "text": self.text,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
        }


def labellings(labeller: LabelsLines, lines: Sequence[str], first: int = 1) -> Iterator[Labelling]:
    """Yield each line with its likeliest label; lines are numbered from `first`."""
    for line, row in zip(lines, labeller.probabilities(lines, first).tolist(), strict=True):
        probabilities = dict(zip(labeller.labels, row, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        yield Labelling(line, label, probabilities[label], probabilities)
