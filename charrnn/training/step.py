"""One step of training and one of evaluation, compiled: the batch cut into shards that run side by side."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from charrnn.network import initial_states
from charrnn.streams import Window
from charrnn.training.engine import Update, compiled, cross_entropies, loss_and_gradients, uniform_rows, xp
from charrnn.training.layers import CharRNN

States = list[list[Any]]


def shard_rows(batch: int, shards: int) -> list[slice]:
    """Return the rows of the batch that each shard computes: contiguous, sizes differing by one at most."""
    bounds = [batch * shard // shards for shard in range(shards + 1)]
    return [slice(low, high) for low, high in itertools.pairwise(bounds)]


def fresh_states(net: CharRNN, batch: int, shards: int) -> States:
    """Return the states that every stream begins with: a list of layers' states for each shard."""
    dtype = net.variable_dtype
    return [initial_states(xp, net.model, rows.stop - rows.start, dtype) for rows in shard_rows(batch, shards)]


def dropout_mask(shape: tuple[int, int, int], rate: float, seed: Any, step: Any, layer: int, rows: slice) -> Any:
    """Return an inverted-dropout mask (time, rows, units): zeros at `rate`, 1 / (1 - rate) elsewhere.

    Each row is a function of (seed, step, layer, global row) alone, so that it does not matter how a batch is cut.
    """
    steps, _, units = shape
    noise = uniform_rows((steps, units), seed, step, layer, range(rows.start, rows.stop))
    return xp.where(noise >= rate, xp.full_like(noise, 1.0 / (1.0 - rate)), xp.zeros_like(noise))


def cross_entropy(logits: Any, targets: Any, weights: Any = None) -> Any:
    """Return the summed cross-entropy in nats of targets (time, batch), each weighted by `weights` if given."""
    nats = cross_entropies(xp.reshape(logits, (-1, logits.shape[-1])), xp.reshape(targets, (-1,)))
    return xp.sum(nats if weights is None else nats * xp.reshape(weights, (-1,)))


def _columns(window: Window, rows: slice) -> Window:
    """Return a shard's part of a window: some rows of the batch, which are its columns."""
    return window.each(lambda part: part[:, rows])


class TrainStep:
    """Truncated backpropagation through one window, and one update of the parameters.

    The loss is the mean over the characters of the window that count. With `sum_gradients` the gradients are those of
    its sum over time, averaged over the streams: the mean times the counted characters a stream (`seq` if all count).
    """

    def __init__(
        self,
        net: CharRNN,
        optimizer: keras.optimizers.Optimizer,
        batch: int,
        shards: int,
        dropout: float = 0.0,
        seed: int = 0,
        sum_gradients: bool = False,
    ):
        self.net = net
        self.optimizer = optimizer
        self.rows = shard_rows(batch, shards)
        self.batch = batch
        self.dropout = dropout
        self.seed = seed
        self.sum_gradients = sum_gradients
        optimizer.build(list(net.parameters.values()))
        self._update = Update(self._step, net.parameters, optimizer)

    def __call__(self, window: Window, states: States, step: int, learning_rate: float) -> tuple[Any, States]:
        """Return the mean loss in nats a character (not waited for) and the next states.

        window: (seq, batch) each; states: one list of layers' states a shard. Of a window without a character that
        counts the loss and all gradients are 0.
        """
        return self._update(learning_rate, step, window, states)

    def _step(self, values: Mapping[str, Any], step: Any, window: Window, states: States) -> Any:
        seq, weights = window.inputs.shape[0], window.weights
        # Of the whole window, so that it does not matter how the batch is cut.
        counted = seq * self.batch if weights is None else xp.maximum(xp.sum(weights), 1.0)
        results = [
            self._shard(values, _columns(window, rows), rows, state, step, counted)
            for rows, state in zip(self.rows, states, strict=True)
        ]
        losses, after, gradients = zip(*results, strict=True)
        a_stream = float(seq) if weights is None else counted / self.batch
        scale = a_stream if self.sum_gradients else 1.0
        # Summed in the order of the shards, so that a step is the same whichever finishes first.
        totals = {name: sum((part[name] for part in gradients[1:]), gradients[0][name]) * scale for name in values}
        return (sum(losses[1:], losses[0]), list(after)), totals

    def _shard(
        self, values: Mapping[str, Any], window: Window, rows: slice, states: Sequence[Any], step: Any, counted: Any
    ) -> Any:
        def drop(layer: int, x: Any) -> Any:
            return x * dropout_mask(x.shape, self.dropout, self.seed, step, layer, rows)

        def loss(values: Mapping[str, Any]) -> tuple[Any, Any]:
            dropout = drop if self.dropout else None
            logits, after = self.net.call(window.inputs, states, dropout, window.reset, values=values)
            return cross_entropy(logits, window.targets, window.weights) / counted, after

        return loss_and_gradients(loss, values)


class EvalStep:
    """The loss of a window without dropout or update."""

    def __init__(self, net: CharRNN, batch: int, shards: int):
        self.net = net
        self.rows = shard_rows(batch, shards)
        self._compiled = compiled(self._step)

    def __call__(self, window: Window, states: States) -> tuple[Any, States]:
        """Return the summed weighted loss in nats and the next states."""
        return self._compiled(self.net.values(), window, states)

    def _step(self, values: Mapping[str, Any], window: Window, states: States) -> Any:
        losses, after = [], []
        for rows, state in zip(self.rows, states, strict=True):
            shard = _columns(window, rows)
            logits, new = self.net.call(shard.inputs, state, None, shard.reset, False, values)
            losses.append(cross_entropy(logits, shard.targets, shard.weights))
            after.append(new)
        return sum(losses[1:], losses[0]), after
