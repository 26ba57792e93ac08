"""One compiled step of training and one of evaluation; the batch is cut into shards that run in parallel."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from charrnn.data.batches import Window
from charrnn.network.states import initial_states
from charrnn.training.backends import compiled as compiled_code
from charrnn.training.backends.contract import Shards
from charrnn.training.backends.engine import (
    Update,
    calls,
    compiled,
    counter,
    cross_entropies,
    loss_and_gradients,
    uniform_rows,
    xp,
)
from charrnn.training.network import CharRNN

# The hidden states of all streams, in the layout of `Shards`.
States = Any


def fresh_states(net: CharRNN, shards: Shards) -> States:
    """Return the initial states of all streams."""
    return shards.state(initial_states(xp, net.model, shards.batch, net.variable_dtype))


def dropout_mask(shape: tuple[int, int, int], rate: float, seed: Any, step: Any, layer: int, first_row: Any) -> Any:
    """Return an inverted-dropout mask (time, rows, units): zeros at `rate`, 1 / (1 - rate) elsewhere.

    Each row depends only on (seed, step, layer, global row), so that it does not matter how a batch is cut.
    """
    noise = uniform_rows(shape, seed, step, layer, first_row)
    return xp.where(noise >= rate, xp.full_like(noise, 1.0 / (1.0 - rate)), xp.zeros_like(noise))


def cross_entropy(logits: Any, targets: Any, weights: Any = None) -> Any:
    """Return the summed cross-entropy in nats of targets (time, batch), each weighted by `weights` if given."""
    nats = cross_entropies(xp.reshape(logits, (-1, logits.shape[-1])), xp.reshape(targets, (-1,)))
    return xp.sum(nats if weights is None else nats * xp.reshape(weights, (-1,)))


def hits(logits: Any, targets: Any, weights: Any) -> Any:
    """Return for how many targets (time, batch) the highest logit is theirs, each weighted by `weights`."""
    right = xp.equal(xp.argmax(logits, axis=-1), targets)
    return xp.sum(xp.where(right, weights, xp.zeros_like(weights)))


class TrainStep:
    """Truncated backpropagation through one window, and one update of the parameters.

    The loss is the mean over the characters of the window that count. With `sum_gradients`, the gradients are of the
    sum over time, averaged over the streams: the mean times the counted characters per stream (`seq` if all count).
    """

    def __init__(
        self,
        net: CharRNN,
        optimizer: keras.optimizers.Optimizer,
        shards: Shards,
        dropout: float = 0.0,
        seed: int = 0,
        sum_gradients: bool = False,
    ):
        self.net = net
        self.optimizer = optimizer
        self.shards = shards
        self.dropout = dropout
        self.seed = seed
        self.sum_gradients = sum_gradients
        optimizer.build(list(net.parameters.values()))
        self._update = Update(self.gradients, net.parameters, optimizer, shards)

    def __call__(self, window: Window, states: States, step: int, learning_rate: float) -> tuple[Any, States]:
        """Return the mean loss in nats per character (it may still be computing) and the next states.

        window: (seq, rows) each, the rows that this process reads. If no character of the window counts, the loss and
        all gradients are 0.
        """
        return self._update(learning_rate, step, self.shards.place(window), states)

    def gradients(self, values: Mapping[str, Any], step: Any, window: Window, states: States) -> Any:
        """Return the mean loss with the next states, and the gradients by parameter, before any clipping."""
        (seq, batch), weights = window.inputs.shape, window.weights
        # Counted over the whole window, so that it does not matter how the batch is cut.
        counted = seq * batch if weights is None else xp.maximum(xp.sum(weights), 1.0)
        (loss, gradients), after = self.shards.each(self._shard, (dict(values), step, counted), window, states)
        a_stream = float(seq) if weights is None else counted / batch
        scale = a_stream if self.sum_gradients else 1.0
        return (loss, after), {name: gradients[name] * scale for name in values}

    def _shard(
        self, values: Mapping[str, Any], step: Any, counted: Any, window: Window, states: Sequence[Any], first_row: Any
    ) -> Any:
        def drop(layer: int, x: Any) -> Any:
            if self.net.native:
                words = calls.words(self.seed, step, layer, first_row)
                return compiled_code.dropout(calls, x, self.dropout, words)
            return x * dropout_mask(x.shape, self.dropout, self.seed, step, layer, first_row)

        def loss(values: Mapping[str, Any]) -> tuple[Any, Any]:
            dropout = drop if self.dropout else None
            logits, after = self.net.call(window.inputs, states, dropout, window.reset, values=values)
            return cross_entropy(logits, window.targets, window.weights) / counted, after

        nats, after, gradients = loss_and_gradients(loss, values)
        return (nats, gradients), after


class GradientNorms:
    """The Euclidean norms of the gradients of a step that is not taken, by parameter."""

    def __init__(self, step: TrainStep):
        self.step = step
        self._compiled = compiled(self._norms)

    def __call__(self, window: Window, states: States, number: int) -> dict[str, float]:
        """Return the norms for step `number`; the arguments are those of `TrainStep`."""
        values = self.step.shards.whole(self.step.net.values())
        norms = self._compiled(values, counter(number), self.step.shards.place(window), states)
        return {name: float(norm) for name, norm in norms.items()}

    def _norms(self, values: Mapping[str, Any], number: Any, window: Window, states: States) -> Any:
        _, gradients = self.step.gradients(values, number, window, states)
        return {name: xp.sqrt(xp.sum(gradient * gradient)) for name, gradient in gradients.items()}


class EvalStep:
    """The loss of a window without dropout or update."""

    def __init__(self, net: CharRNN, shards: Shards):
        self.net, self.shards = net, shards
        self._compiled = compiled(self._step)

    def __call__(self, window: Window, states: States) -> tuple[tuple[Any, Any], States]:
        """Return the summed weighted loss in nats with, for labels, how many were right, and the next states."""
        values = self.shards.whole(self.net.values())
        return self._compiled(values, self.shards.place(window), states)

    def _step(self, values: Mapping[str, Any], window: Window, states: States) -> Any:
        return self.shards.each(self._shard, (dict(values),), window, states)

    def _shard(self, values: Mapping[str, Any], window: Window, states: Sequence[Any], first_row: Any) -> Any:
        logits, after = self.net.call(window.inputs, states, None, window.reset, False, values)
        nats = cross_entropy(logits, window.targets, window.weights)
        right = xp.zeros_like(nats) if self.net.model.classes is None else hits(logits, window.targets, window.weights)
        return (nats, right), after
