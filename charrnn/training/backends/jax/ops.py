"""The engine for JAX."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from charrnn.cells.cell import EPSILON
from charrnn.training.backends.calls import ONE_HOT_ROWS
from charrnn.training.backends.jax.shards import Shards

Arrays = Mapping[str, Any]


class Namespace:
    """The array namespace of cells and networks: JAX's own functions, as keras.ops turns float64 into float32 there."""

    log_sigmoid, relu, sigmoid, softmax = map(
        staticmethod, (jax.nn.log_sigmoid, jax.nn.relu, jax.nn.sigmoid, jax.nn.softmax)
    )

    @staticmethod
    def standardize(x: Any) -> Any:
        """Return x with mean 0 and variance 1 over the last axis."""
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


xp = Namespace()


def on_gpu() -> bool:
    """Return whether a GPU computes."""
    return jax.default_backend() == "gpu"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function of arrays."""
    return jax.jit(function)


def loss_and_gradients(
    function: Callable[[Arrays], tuple[Any, Any]], values: Arrays
) -> tuple[Any, Any, dict[str, Any]]:
    """Return the loss, the other results of `function`, and the gradients of the loss, zeros included."""
    (loss, more), gradients = jax.value_and_grad(function, has_aux=True)(dict(values))
    return loss, more, gradients


class Update:
    """A compiled step that updates variables: `step(values, *arguments)` returns results and gradients."""

    def __init__(
        self,
        step: Callable[..., tuple[Any, Arrays]],
        variables: Mapping[str, keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        shards: Shards,
    ):
        self.optimizer, self.shards = optimizer, shards
        self.variables = list(variables.values())

        def run(weights: list[Any], slots: list[Any], *arguments: Any) -> Any:
            results, gradients = step(dict(zip(variables, weights, strict=True)), *arguments)
            in_order = [gradients[name] for name in variables]
            return results, *optimizer.stateless_apply(slots, in_order, weights)

        # The new weights and slots reuse the memory of the old ones.
        self._run = jax.jit(run, donate_argnums=(0, 1))

    def __call__(self, rate: float, step: int, *arguments: Any) -> Any:
        """Take step number `step` at a learning rate; return its results, which may still be computing."""
        known = self.optimizer.learning_rate
        weights, slots = (
            [
                self._rate(rate) if variable is known else self.shards.everywhere_alike(variable.value)
                for variable in part
            ]
            for part in (self.variables, self.optimizer.variables)
        )
        results, weights, slots = self._run(weights, slots, counter(step), *arguments)
        for part, values in ((self.variables, weights), (self.optimizer.variables, slots)):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        return results

    def _rate(self, rate: float) -> Any:
        """Return a learning rate in the form that a step reads."""
        return np.float32(rate) if jax.process_count() == 1 else self.shards.everywhere_alike(np.float32(rate))


def product(a: Any, b: Any, products: str | None = None) -> Any:
    """Return a b with the type of a; the operands are rounded to the type `products`, if given."""
    if products is None:
        return a @ b
    return jnp.matmul(a.astype(products), b.astype(products), preferred_element_type=a.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul(x: Any, w: Any, products: str | None) -> Any:
    """Return x w, (..., n, a) by (..., a, b).

    With `products`, the operands are rounded to that type, in the gradient too.
    """
    return product(x, w, products)


matmul.defvjp(
    lambda x, w, products: (product(x, w, products), (x, w)),
    lambda products, kept, d: (product(d, kept[1].mT, products), product(kept[0].mT, d, products)),
)


@jax.custom_vjp
def look_up(table: Any, ids: Any) -> Any:
    """Return the rows of table, (rows, width), at ids."""
    return jnp.take(table, ids, axis=0)


def _looked_up(table: Any, ids: Any) -> Any:
    return look_up(table, ids), (ids, table.shape[0])


def _look_up_gradient(kept: Any, d: Any) -> Any:
    ids, rows = kept
    flat, d = ids.reshape(-1), d.reshape(-1, d.shape[-1])
    if rows <= ONE_HOT_ROWS:
        return jax.nn.one_hot(flat, rows, dtype=d.dtype).T @ d, None
    return jax.ops.segment_sum(d, flat, rows), None


look_up.defvjp(_looked_up, _look_up_gradient)


def cross_entropies(logits: Any, targets: Any) -> Any:
    """Return -log softmax(logits)[target] in nats; logits (n, vocab), targets (n,)."""
    picked = jnp.take_along_axis(logits, jnp.asarray(targets)[:, None], axis=-1)[:, 0]
    return jax.nn.logsumexp(logits, axis=-1) - picked


def counter(step: int) -> Any:
    """Return the number of a step in the form that `uniform_rows` reads: two words, as JAX has 32 bits by default."""
    # A NumPy array, which works with several processes too.
    return np.array([step & 0xFFFFFFFF, step >> 32], np.uint32)


def uniform_rows(shape: tuple[int, int, int], seed: int, step: Any, layer: int, first_row: Any) -> Any:
    """Return numbers from [0, 1), (time, rows, units): each row depends only on (seed, step, layer, row)."""
    steps, rows, units = shape
    key = jax.random.key(seed & 0xFFFFFFFF, impl="threefry2x32")
    for part in (seed >> 32, *step, layer):
        key = jax.random.fold_in(key, part)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first_row + jnp.arange(rows))
    return jax.vmap(lambda key: jax.random.uniform(key, (steps, units), jnp.float32), out_axes=1)(keys)
