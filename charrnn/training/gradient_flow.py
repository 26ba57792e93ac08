"""The norm of the gradient of one loss on its way back through time, state by state, in float64.

With s(t) for the whole hidden state after step t, s(t) = F(s(t-1), x(t)), and L(t) for the loss of the prediction after
step t, the chain rule gives (Hochreiter 1991; Bengio et al. 1994, eq. 11; Pascanu et al. 2013, eq. 3 to 5)

    d L(t) / d s(t-1) = the gradient of one step and its loss
    d L(t) / d s(t-k) = J(t-k+1)^T d L(t) / d s(t-k+1),   J(i) = d F(s(i-1), x(i)) / d s(i-1)

so that k = K takes K products with the Jacobian of one step. Such a product is the gradient of the inner product of
s(i) with what arrives, which is what training computes.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
from keras import ops

from charrnn.config import ModelConfig
from charrnn.data.batches import Window
from charrnn.network.states import counters, from_named, initial_states, named, state_shapes
from charrnn.training.backends.engine import compiled, loss_and_gradients, xp
from charrnn.training.network import CharRNN
from charrnn.training.step import cross_entropy

DTYPE = "float64"
# The states of all steps are kept: in so many bytes, if one position fits.
KEPT = 1 << 29

Fields = Mapping[str, Any]
Tell = Callable[[int, int], None]
# The name of the joint state among those of its parts: "layer0", ..., "attention".
ALL = "all"


def rows_at_once(model: ModelConfig, reach: int) -> int:
    """Return how many positions are computed together."""
    numbers = sum(math.prod(shape) for shape in named(state_shapes(model, 1)).values())
    return max(1, KEPT // (8 * numbers * reach))


class BackThroughTime:
    """Computes how much of a loss each state before it feels, by one step of a network that is called many times."""

    def __init__(self, net: CharRNN):
        self.net, self.counters = net, counters(net.model)
        self._forward, self._loss = compiled(self._forwards), compiled(self._of_loss)
        self._back = compiled(self._backwards)

    def norms(self, window: Window, reach: int, tell: Tell) -> dict[str, np.ndarray]:
        """Return the natural logarithms of the norms of the gradients of the loss at the end of each row.

        They are by part of the state, and for ALL of it: (reach, rows) each, for k = 1, ..., reach. `tell` is called
        with the number of steps that are done, and of all.
        """
        (steps, rows), found = window.inputs.shape, []
        groups = np.array_split(np.arange(rows), -(-rows // rows_at_once(self.net.model, reach)))
        total = len(groups) * (steps + reach)
        for number, group in enumerate(groups):
            part = window.each(itemgetter((slice(None), group)))
            found.append(self._of_group(part, reach, partial(_tell, tell, number * (steps + reach), total)))
        return {name: np.concatenate([one[name] for one in found], axis=1) for name in found[0]}

    def _of_group(self, window: Window, reach: int, done: Callable[[int], None]) -> dict[str, np.ndarray]:
        inputs, targets, reset = window.inputs, window.targets, window.reset
        assert reset is not None
        values, (steps, rows) = self.net.values(), inputs.shape
        states, kept = named(initial_states(xp, self.net.model, rows, DTYPE)), []
        for low, high in pairwise([0, *range(steps - reach, steps)]):
            # All characters before the first state that is kept are read in one call.
            states = self._forward(values, states, inputs[low:high], reset[low:high])
            kept.append(states)
            done(high)
        logs: list[dict[str, np.ndarray]] = []
        so_far, arriving = np.zeros(rows), {}
        for k in range(1, reach + 1):
            at = steps - k
            given = values, kept.pop(), inputs[at : at + 1], reset[at : at + 1]
            if k == 1:
                arriving, squares = self._loss(*given, targets[at:])
            else:
                arriving, squares = self._back(*given, arriving)
            by_part = _by_part(squares)
            # What arrives has the norm 1, so that nothing underflows.
            logs.append({name: so_far + part for name, part in by_part.items()})
            so_far = logs[-1][ALL]
            done(steps + k)
        return {name: np.stack([one[name] for one in logs]) for name in logs[0]}

    def _step(self, values: Fields, fields: Fields, ids: Any, reset: Any, **how: Any) -> tuple[Any, dict[str, Any]]:
        states = from_named(self.net.model, fields)
        logits, after = self.net.call(ids, states, reset=reset, values=values, **how)
        return logits, named(after)

    def _forwards(self, values: Fields, fields: Fields, ids: Any, reset: Any) -> dict[str, Any]:
        return self._step(values, fields, ids, reset, gradient_wanted=False)[1]

    def _of_loss(self, values: Fields, fields: Fields, ids: Any, reset: Any, targets: Any) -> Any:
        def loss(logits: Any, after: Fields) -> Any:
            return cross_entropy(logits, targets)

        return self._gradient(loss, values, fields, ids, reset)

    def _backwards(self, values: Fields, fields: Fields, ids: Any, reset: Any, arriving: Fields) -> Any:
        def along(logits: Any, after: Fields) -> Any:
            return sum(xp.sum(after[name] * d) for name, d in arriving.items())

        return self._gradient(along, values, fields, ids, reset)

    def _gradient(self, of: Callable[[Any, Fields], Any], values: Fields, fields: Fields, ids: Any, reset: Any) -> Any:
        """Return the gradient with respect to the fields, divided by its norm in each row; and the squares of norms."""
        counted = {name: fields[name] for name in self.counters}

        def function(moving: Fields) -> tuple[Any, None]:
            return of(*self._step(values, {**counted, **moving}, ids, reset)), None

        moving = {name: field for name, field in fields.items() if name not in counted}
        _, _, gradients = loss_and_gradients(function, moving)
        squares = {name: xp.sum(d * d, axis=tuple(range(1, len(d.shape)))) for name, d in gradients.items()}
        norm = xp.sqrt(sum(squares.values()))
        norm = xp.where(norm > 0.0, norm, xp.ones_like(norm))
        return {name: d / xp.reshape(norm, (-1, *[1] * (len(d.shape) - 1))) for name, d in gradients.items()}, squares


def _tell(tell: Tell, before: int, total: int, done: int) -> None:
    """Tell that `done` steps are done after those `before`."""
    tell(before + done, total)


def _by_part(squares: Fields) -> dict[str, np.ndarray]:
    """Return the logarithms of the norms of each part of the state and of all, from the squares of each field."""
    parts: dict[str, np.ndarray] = {}
    for name, square in squares.items():
        own = np.asarray(ops.convert_to_numpy(square), np.float64)
        for part in (name.partition("/")[0], ALL):
            parts[part] = parts.get(part, 0.0) + own
    # The logarithm of 0 is -inf: nothing arrives.
    with np.errstate(divide="ignore"):
        return {name: np.log(square) / 2 for name, square in parts.items()}
