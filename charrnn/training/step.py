"""One step of training and one of evaluation, compiled: the batch cut into shards that run side by side."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from charrnn.network import zero_state
from charrnn.streams import Window
from charrnn.training.layers import CharRNN

States = list[list[Any]]


def shard_rows(batch: int, shards: int) -> list[slice]:
    """Return the rows of the batch that each shard computes: contiguous, sizes differing by one at most."""
    bounds = [batch * shard // shards for shard in range(shards + 1)]
    return [slice(low, high) for low, high in itertools.pairwise(bounds)]


def fresh_states(net: CharRNN, batch: int, shards: int) -> States:
    """Return the states that every stream begins with: a list of layers' states for each shard."""
    dtype = net.variable_dtype
    return [zero_state(ops, net.model, rows.stop - rows.start, dtype) for rows in shard_rows(batch, shards)]


def dropout_mask(shape: tuple[int, int, int], rate: float, seed: Any, step: Any, layer: int, rows: slice) -> Any:
    """Return an inverted-dropout mask (time, rows, units): zeros at `rate`, 1 / (1 - rate) elsewhere.

    Each row is a function of (seed, step, layer, global row) alone, so that it does not matter how a batch is cut.
    """
    steps, _, units = shape
    # step < 2^40, layer < 2^8 and row < 2^15 share the 64 bits of the counter's second word.
    counter = ops.cast(step, "int64") * (1 << 23) + (layer << 15)
    noise = [
        tf.random.stateless_uniform((steps, units), seed=tf.stack([seed, counter + row]), alg="philox")
        for row in range(rows.start, rows.stop)
    ]
    return tf.cast(tf.stack(noise, axis=1) >= rate, tf.float32) / (1.0 - rate)


def cross_entropy(logits: Any, targets: Any, weights: Any = None) -> Any:
    """Return the summed cross-entropy in nats of targets (time, batch), each weighted by `weights` if given."""
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.reshape(targets, (-1,)), logits=tf.reshape(logits, (-1, logits.shape[-1]))
    )
    return tf.reduce_sum(nats if weights is None else nats * tf.reshape(weights, (-1,)))


def _columns(window: Window, rows: slice) -> Window:
    """Return a shard's part of a window: some rows of the batch, which are its columns."""
    return window.each(lambda part: part[:, rows])


class TrainStep:
    """Truncated backpropagation through one window, and one update of the parameters."""

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
        self.variables = list(net.parameters.values())
        optimizer.build(self.variables)
        self._compiled = tf.function(self._step, autograph=False)

    def __call__(self, window: Window, states: States, step: int, learning_rate: float) -> tuple[Any, States]:
        """Return the mean loss in nats a character (not waited for) and the next states.

        window: (seq, batch) each; states: one list of layers' states a shard.
        """
        return self._compiled(window, states, tf.constant(step, tf.int64), tf.constant(learning_rate))

    def _step(self, window: Window, states: States, step: Any, learning_rate: Any) -> Any:
        results = [
            self._shard(_columns(window, rows), rows, state, step)
            for rows, state in zip(self.rows, states, strict=True)
        ]
        losses, after, gradients = zip(*results, strict=True)
        scale = float(window.inputs.shape[0]) if self.sum_gradients else 1.0
        # Summed in the order of the shards, so that a step is the same whichever finishes first.
        totals = [sum(parts[1:], parts[0]) * scale for parts in zip(*gradients, strict=True)]
        self.optimizer.learning_rate.assign(learning_rate)
        self.optimizer.apply(totals, self.variables)
        return sum(losses[1:], losses[0]), list(after)

    def _shard(self, window: Window, rows: slice, states: Sequence[Any], step: Any) -> Any:
        def drop(layer: int, x: Any) -> Any:
            return x * dropout_mask(x.shape, self.dropout, self.seed, step, layer, rows) if self.dropout else x

        with tf.GradientTape() as tape:
            logits, after = self.net.call(window.inputs, states, dropout=drop, reset=window.reset)
            loss = cross_entropy(logits, window.targets) / (window.inputs.shape[0] * self.batch)
        return loss, after, tape.gradient(loss, [variable.value for variable in self.variables])


class EvalStep:
    """The loss of a window without dropout or update."""

    def __init__(self, net: CharRNN, batch: int, shards: int):
        self.net = net
        self.rows = shard_rows(batch, shards)
        self._compiled = tf.function(self._step, autograph=False)

    def __call__(self, window: Window, weights: Any, states: States) -> tuple[Any, States]:
        """Return the summed weighted loss in nats and the next states; all of (seq, batch), weights float32."""
        return self._compiled(window, weights, states)

    def _step(self, window: Window, weights: Any, states: States) -> Any:
        losses, after = [], []
        for rows, state in zip(self.rows, states, strict=True):
            shard = _columns(window, rows)
            logits, new = self.net.call(shard.inputs, state, reset=shard.reset, gradient_wanted=False)
            losses.append(cross_entropy(logits, shard.targets, weights[:, rows]))
            after.append(new)
        return sum(losses[1:], losses[0]), after
