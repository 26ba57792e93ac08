"""The engine for TensorFlow."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from charrnn.cells.cell import EPSILON
from charrnn.training.backends.calls import ONE_HOT_ROWS
from charrnn.training.backends.tensorflow.shards import Shards

Arrays = Mapping[str, Any]


class Namespace:
    """The array namespace of cells and networks: keras.ops, and functions that it lacks."""

    @staticmethod
    def standardize(x: Any) -> Any:
        """Return x with mean 0 and variance 1 over the last axis."""
        return _standardize(tf.convert_to_tensor(x))

    def __getattr__(self, name: str) -> Any:
        return getattr(keras.ops, name)


def standardized(x: Any) -> tuple[Any, Any]:
    """Return x with mean 0 and variance 1 over the last axis, and the factor for that, (..., 1)."""
    x = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(x * x, axis=-1, keepdims=True) + EPSILON)
    return x * scale, scale


def standardize_gradient(y: Any, dy: Any, scale: Any) -> Any:
    """Return the gradient of x from the gradient of y = (x - mean(x)) * scale, scale = 1 / deviation(x)."""
    along = tf.reduce_mean(y * dy, axis=-1, keepdims=True)
    return (dy - tf.reduce_mean(dy, axis=-1, keepdims=True) - y * along) * scale


@tf.custom_gradient
def _standardize(x: Any) -> Any:
    y, scale = standardized(x)
    return y, lambda dy: standardize_gradient(y, dy, scale)


xp = Namespace()


@cache
def on_gpu() -> bool:
    """Return whether a GPU computes."""
    return bool(tf.config.list_logical_devices("GPU"))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function of arrays; on a GPU, XLA makes fewer kernels of it."""
    return tf.function(function, autograph=False, jit_compile=on_gpu())


def loss_and_gradients(
    function: Callable[[Arrays], tuple[Any, Any]], values: Arrays
) -> tuple[Any, Any, dict[str, Any]]:
    """Return the loss, the other results of `function`, and the gradients of the loss, zeros included."""
    # A tape can watch tensors again, but not variables.
    values = tf.nest.map_structure(tf.convert_to_tensor, dict(values))
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss, more = function(values)
    return loss, more, tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)


class Update:
    """A compiled step that updates variables in place: `step(values, *arguments)` returns results and gradients."""

    def __init__(
        self,
        step: Callable[..., tuple[Any, Arrays]],
        variables: Mapping[str, keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        shards: Shards,
    ):
        def run(rate: Any, *arguments: Any) -> Any:
            results, gradients = step({name: variable.value for name, variable in variables.items()}, *arguments)
            optimizer.learning_rate.assign(rate)
            optimizer.apply([gradients[name] for name in variables], list(variables.values()))
            return results

        self._run = compiled(run)

    def __call__(self, rate: float, step: int, *arguments: Any) -> Any:
        """Take step number `step` at a learning rate; return its results, which may still be computing."""
        return self._run(tf.constant(rate), counter(step), *arguments)


@cache
def multiplies_bfloat16() -> bool:
    """Return whether TensorFlow multiplies bfloat16 correctly here: float32 sums, rounded to the nearest.

    It depends on the processor and on the build, so one product tests it. If a processor cannot do it, TensorFlow cuts
    the sums off after 8 bits: all products are too small, and training learns less.
    """
    if on_gpu():
        return True
    rng = np.random.default_rng(0)
    # Outside of any graph that is being traced.
    with tf.init_scope():
        a, b = (tf.cast(rng.normal(size=shape), tf.bfloat16) for shape in ((16, 64), (64, 32)))
        found = tf.cast(tf.matmul(a, b), tf.float64)
        a, b = tf.cast(a, tf.float64), tf.cast(b, tf.float64)
        exact, terms = tf.matmul(a, b), tf.matmul(tf.abs(a), tf.abs(b))
        # Half a unit in the last of 8 bits, plus the rounding of float32 sums.
        return bool(tf.reduce_all(tf.abs(found - exact) <= 2.0**-8 * tf.abs(exact) + 1e-6 * terms))


def product(a: Any, b: Any, products: str | None = None, transpose_a: bool = False) -> Any:
    """Return a b, or a^T b, with the type of a; the operands are rounded to the type `products`, if given."""
    if products is None:
        return tf.matmul(a, b, transpose_a=transpose_a)
    a_, b_ = tf.cast(a, products), tf.cast(b, products)
    if not multiplies_bfloat16():
        a_, b_ = tf.cast(a_, a.dtype), tf.cast(b_, a.dtype)
    return tf.cast(tf.matmul(a_, b_, transpose_a=transpose_a), a.dtype)


def matmul(x: Any, w: Any, products: str | None) -> Any:
    """Return x w, (..., n, a) by (..., a, b).

    With `products`, the operands are rounded to that type, in the gradient too.
    """
    if products is None or multiplies_bfloat16():
        # The gradients of the casts give the same products.
        return product(x, w, products)

    @tf.custom_gradient
    def rounded(x: Any, w: Any) -> Any:
        return product(x, w, products), lambda d: (
            product(d, tf.linalg.matrix_transpose(w), products),
            product(x, d, products, transpose_a=True),
        )

    return rounded(x, w)


@tf.custom_gradient
def look_up(table: Any, ids: Any) -> Any:
    """Return the rows of table, (rows, width), at ids; the gradient is dense, as the optimizers need it."""

    def gradient(d: Any) -> Any:
        rows, width = table.shape
        flat, d = tf.reshape(ids, (-1,)), tf.reshape(d, (-1, width))
        if rows <= ONE_HOT_ROWS:
            return tf.matmul(tf.one_hot(flat, rows, dtype=d.dtype), d, transpose_a=True), None
        return tf.math.unsorted_segment_sum(d, flat, rows), None

    return tf.gather(table, ids), gradient


def cross_entropies(logits: Any, targets: Any) -> Any:
    """Return -log softmax(logits)[target] in nats; logits (n, vocab), targets (n,)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def counter(step: int) -> Any:
    """Return the number of a step in the form that `uniform_rows` reads."""
    return tf.constant(step, tf.int64)


def uniform_rows(shape: tuple[int, int, int], seed: int, step: Any, layer: int, first_row: Any) -> Any:
    """Return numbers from [0, 1), (time, rows, units): each row depends only on (seed, step, layer, row)."""
    steps, rows, units = shape
    # step < 2^40, layer < 2^8 and row < 2^15 share the 64 bits of the counter's second word.
    first = step * (1 << 23) + (layer << 15) + first_row
    noise = [
        tf.random.stateless_uniform((steps, units), seed=tf.stack([seed, first + row]), alg="philox")
        for row in range(rows)
    ]
    return tf.stack(noise, axis=1)
