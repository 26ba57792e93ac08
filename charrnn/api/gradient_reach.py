"""How the gradient of a loss shrinks on its way back through time, in numbers."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.config import ModelConfig

# The gradient reaches as far back as its norm is at least this fraction of its norm one step back.
LEAST = 0.01
# The quantiles that are told; the second is the median.
QUANTILES = (0.1, 0.5, 0.9)
# The logarithm of the largest norm that is told: charts cannot show infinity.
LARGEST = math.floor(math.log(sys.float_info.max))
# The name of the whole state among its parts.
ALL = "all"

Curve = tuple[float, ...]


@dataclass(frozen=True)
class GradientFlow:
    """The norm of the gradient of the loss at a position with respect to the state k steps before, over many positions.

    The state of a step is what the network remembers after it: all fields of all layers, and the memory of attention,
    but not fields that only count. k = 1 is the state from which the step begins that makes the prediction.

    Args:
        run: The name of the run, or the path of its checkpoint; None for a network of no run.
        model: Its cell and size.
        start: Whether the network has the weights with which training starts.
        step: How many steps it was trained; None if that is not known, or for weights of the start.
        seed: Of the weights of the start.
        positions: From how many positions the gradient was followed.
        lags: The numbers k, from 1.
        norms: For each quantile of QUANTILES, the norm at each k; between positions it may differ much.
        relative: The same for the norm divided by the norm of the same position at k = 1.
        layers: The median norm at each k with respect to one part of the state: "layer0", "layer1", ..., "attention".
        reaches: For each quantile, the reach. The reach of a position is the largest k such that the norm is at least
            LEAST of its norm at k = 1 there and at all smaller k; it is 0 if the norm at k = 1 is 0. Where it is the
            last of `lags`, it may be more.
        factor: The median of the mean factor by which the norm changes in a step: (norm at the last k / norm at 1) to
            the power 1 / (last k - 1); NaN with a single k.
    """

    run: str | None
    model: ModelConfig
    start: bool
    step: int | None
    seed: int
    positions: int
    lags: tuple[int, ...]
    norms: dict[float, Curve]
    relative: dict[float, Curve]
    layers: dict[str, Curve]
    reaches: dict[float, int]
    factor: float

    @property
    def title(self) -> str:
        """Return a name for tables: "corpus, step 400", "lstm 2x256, start"."""
        when = "start" if self.start else "trained" if self.step is None else f"step {self.step:,}"
        return f"{self.run or self.model.title}, {when}"

    @property
    def reach(self) -> int:
        """Return the median reach: from half of the positions the gradient reaches so far back, or further."""
        return self.reaches[0.5]

    @property
    def is_open(self) -> bool:
        """Return whether the median reach may be more, as the gradient was not followed further."""
        return self.reach == self.lags[-1]

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return {
            "title": self.title,
            "run": self.run,
            "start": self.start,
            "step": self.step,
            "seed": self.seed,
            "cell": self.model.cell,
            "model": self.model.title,
            "positions": self.positions,
            "reach": self.reach,
            "reach_is_open": self.is_open,
            "reaches": _by_name(self.reaches),
            "factor": self.factor,
            "lags": list(self.lags),
            "norms": _by_name(self.norms),
            "relative": _by_name(self.relative),
            "layers": {name: list(curve) for name, curve in self.layers.items()},
        }


def _by_name(of: dict[float, Any]) -> dict[str, Any]:
    return {str(quantile): list(value) if isinstance(value, tuple) else value for quantile, value in of.items()}


def reaches(logs: np.ndarray) -> np.ndarray:
    """Return the reach from each position, (positions,), from the logarithms of norms, (lags, positions)."""
    below = (logs < logs[0] + math.log(LEAST)) | np.isneginf(logs)
    return np.where(below.any(axis=0), below.argmax(axis=0), len(logs))


def figures(logs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of a GradientFlow from logarithms of norms by part of the state, (lags, positions) each."""
    whole = logs[ALL]
    # Where nothing arrives one step before, nothing arrives at all.
    relative = np.where(np.isneginf(whole), -np.inf, whole - np.where(np.isneginf(whole[0]), 0.0, whole[0]))
    lags = len(whole)
    quantiles = np.quantile(reaches(whole), QUANTILES, method="lower")
    return {
        "positions": whole.shape[1],
        "lags": tuple(range(1, lags + 1)),
        "norms": {quantile: _quantile(whole, quantile) for quantile in QUANTILES},
        "relative": {quantile: _quantile(relative, quantile) for quantile in QUANTILES},
        "layers": {name: _quantile(part, 0.5) for name, part in logs.items() if name != ALL},
        "reaches": {quantile: int(value) for quantile, value in zip(QUANTILES, quantiles, strict=True)},
        "factor": _quantile(relative[-1:] / (lags - 1), 0.5)[0] if lags > 1 else math.nan,
    }


def _quantile(logs: np.ndarray, quantile: float) -> Curve:
    """Return a quantile of norms over all positions for each lag; it is the norm of one of the positions.

    Norms that no float has are the largest one.
    """
    found = np.quantile(logs, quantile, axis=1, method="lower")
    return tuple(np.exp(np.minimum(found, LARGEST)).tolist())
