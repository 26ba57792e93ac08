"""Gradient flows that are made up: norms that shrink by a factor in each step."""

import math

import numpy as np

from charrnn.api.gradient_reach import ALL, GradientFlow, figures
from charrnn.config import ModelConfig


def flow(factors=(0.5,), lags=20, run="corpus", start=False, step=400, first=3.0, cell="rnn") -> GradientFlow:
    """Return a flow from positions of which each has its own factor; the norms at k = 1 are `first`."""
    logs = math.log(first) + np.arange(lags)[:, None] * np.log(np.array(factors))
    found = figures({"layer0": logs - 1.0, ALL: logs})
    return GradientFlow(run, ModelConfig(cell, 1, 8), start, None if start else step, 7, **found)
