"""The gradients of training against central differences of its loss, in float64."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from keras import ops

from charrnn.config import ModelConfig
from charrnn.engines import FRAMEWORK
from charrnn.network.parameters import parameter_shapes
from charrnn.network.states import initial_states
from charrnn.training.backends.engine import compiled, loss_and_gradients, xp
from charrnn.training.network import CharRNN
from charrnn.training.step import cross_entropy

VOCAB, BATCH, STEPS = 5, 2, 6
# For parameters of about 1 and differences of fourth order, the first step balances rounding against curvature. The
# others help where it fails: a relu has a kink, and normalizing very small numbers is steep.
STEPS_TRIED = (5e-4, 2e-3, 1.5e-4, 5e-5)
# The error of a small element is relative to this fraction of the largest element of its parameter, and at least to the
# rounding error that the loss leaves in a difference.
SMALL, TINY = 1e-4, 1e-5
LIMIT = 1e-6
NOTHING = 1e-8


def relative_errors(analytic: np.ndarray, numeric: np.ndarray) -> np.ndarray:
    """Return |a - n| / max(|a|, |n|) of each element; for small ones, relative to SMALL of the largest, or to TINY.

    If the whole gradient is zero except for rounding, return |a - n|.
    """
    largest = float(np.abs(numeric).max())
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), max(SMALL * largest, TINY))
    return np.abs(analytic - numeric) / (1.0 if largest < NOTHING else scale)


def relative_error(analytic: np.ndarray, numeric: np.ndarray) -> float:
    """Return the largest of `relative_errors`."""
    return float(relative_errors(analytic, numeric).max())


class Problem:
    """A small network with random weights, and its loss on one window of random characters, from a random state."""

    def __init__(self, model: ModelConfig, seed: int, engine: str):
        rng = np.random.default_rng(seed)
        self.model = model
        self.values = {
            name: rng.normal(0, 1 if len(shape) == 1 else 1 / np.sqrt(shape[0]), shape)
            for name, shape in parameter_shapes(model, VOCAB).items()
        }
        self.net = CharRNN(model, VOCAB, self.values, dtype="float64", engine=engine)
        self.ids = rng.integers(0, VOCAB + 1, (STEPS, BATCH)).astype(np.int32)
        self.targets = rng.integers(0, model.outputs(VOCAB), (STEPS, BATCH)).astype(np.int32)
        self.reset = rng.random((STEPS, BATCH)) < 0.2
        # A state that the network reaches by itself: not all numbers are valid states of a cell.
        read = rng.integers(0, VOCAB + 1, (STEPS, BATCH)).astype(np.int32)
        _, self.states = self.net.call(read, initial_states(xp, model, BATCH, "float64"))
        self.loss = compiled(lambda values: self._loss(values)[0])

    def _loss(self, values: Mapping[str, Any]) -> tuple[Any, None]:
        logits, _ = self.net.call(self.ids, self.states, reset=ops.convert_to_tensor(self.reset), values=values)
        return cross_entropy(logits, self.targets), None

    def analytic(self) -> dict[str, np.ndarray]:
        """Return the gradients that training uses."""
        _, _, gradients = compiled(lambda values: loss_and_gradients(self._loss, values))(self.net.values())
        return {name: np.array(ops.convert_to_numpy(gradient)) for name, gradient in gradients.items()}

    def numeric(self, name: str, step: float) -> np.ndarray:
        """Return the gradient of a parameter by central differences."""
        value = self.values[name]
        # As arrays, all would be converted for every loss.
        others = {other: ops.convert_to_tensor(self.values[other]) for other in self.values}
        gradient = np.empty_like(value)
        for place in np.ndindex(*value.shape):
            total = 0.0
            for shift, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                moved = value.copy()
                moved[place] += shift * step
                total += weight * float(self.loss({**others, name: ops.convert_to_tensor(moved)}))
            gradient[place] = total / (12 * step)
        return gradient


def check(model: ModelConfig, seed: int = 0, engine: str = FRAMEWORK) -> Iterator[tuple[str, tuple[int, ...], float]]:
    """Yield each parameter's name, its shape, and the largest relative error of its gradient."""
    problem = Problem(model, seed, engine)
    analytic = problem.analytic()
    for name, gradient in analytic.items():
        errors = np.full(gradient.shape, np.inf)
        for step in STEPS_TRIED:
            errors = np.minimum(errors, relative_errors(gradient, problem.numeric(name, step)))
            if errors.max() < LIMIT:
                break
        yield name, gradient.shape, float(errors.max())
