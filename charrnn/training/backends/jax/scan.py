"""Backpropagation through time for any cell on JAX, as in `tensorflow/scan.py`: no matrix gradient in the loop.

The forward loop records the previous state, the values of the calls (recurrent products and activations) and the left
operands of the products. In the backward loop each call returns its recorded value, and its gradient follows from the
rule for its kind; XLA removes values that are never read.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import scan as lax_scan

from charrnn.cells import Cell
from charrnn.training.backends.calls import Answers
from charrnn.training.backends.jax.ops import on_gpu, product, xp

# The derivative of each activation, computed from its recorded value y.
FROM_VALUE: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda y, dy: y * dy,
    "log_sigmoid": lambda y, dy: -jnp.expm1(y) * dy,
    "sigmoid": lambda y, dy: y * (1 - y) * dy,
    "relu": lambda y, dy: jnp.where(y > 0, dy, 0),
    "tanh": lambda y, dy: (1 - y * y) * dy,
}


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _activation(name: str, x: Any, value: Any) -> Any:
    """Return the recorded value of an activation of x."""
    return value


_activation.defvjp(
    lambda name, x, value: (value, value), lambda name, value, d: (FROM_VALUE[name](value, d), jnp.zeros_like(value))
)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _product(operand: Any, value: Any, transposed: Any, products: str | None) -> Any:
    """Return the recorded value of the product of `operand` with a matrix; `transposed` is the matrix's transpose."""
    return value


_product.defvjp(
    lambda operand, value, transposed, products: (value, transposed),
    lambda products, transposed, d: (product(d, transposed, products), d, None),
)


def _recording(
    cell: Cell, products_in: str | None, zx: Any, state: Any, matrices: dict, vectors: dict
) -> tuple[Any, Any, Any, Any]:
    """Return the next state of a step and its record: the values of its activations, products, and their operands."""
    activations: list[Any] = []
    products: list[Any] = []
    operands: list[tuple[str, Any]] = []

    def dot(vector: Any, name: str) -> Any:
        operands.append((name, vector))
        products.append(product(vector, matrices[name], products_in))
        return products[-1]

    def activation(name: str, x: Any) -> Any:
        activations.append(getattr(xp, name)(x))
        return activations[-1]

    return cell.step(Answers(xp, FROM_VALUE, activation), zx, state, dot, vectors), activations, products, operands


def _replayed(
    cell: Cell,
    products_in: str | None,
    transposed: dict,
    zx: Any,
    state: Any,
    values: Any,
    products: Any,
    vectors: dict,
) -> Any:
    """Return the next state of a step whose activations and products return their recorded values."""
    next_value, next_product = iter(values).__next__, iter(products).__next__

    def dot(vector: Any, name: str) -> Any:
        return _product(vector, next_product(), transposed[name], products_in)

    answers = Answers(xp, FROM_VALUE, lambda name, x: _activation(name, x, next_value()))
    return cell.step(answers, zx, state, dot, vectors)


# On a GPU each iteration of a loop costs more than the work of a step: so one iteration has several steps there.
UNROLL_ON_GPU = 8


def scan(
    cell: Cell,
    zx: Any,
    state: Any,
    matrices: dict[str, Any],
    vectors: dict[str, Any],
    reset: Any = None,
    emitted: Sequence[str] = ("h",),
    gradient_wanted: bool = True,
    products: str | None = None,
) -> tuple[list[Any], Any]:
    """Run a cell over time; arguments and results are those of `contract.Engine.scan`.

    `gradient_wanted` is not needed: without a gradient, XLA removes the records.
    """
    ones = jnp.ones((zx.shape[0], 1, 1), zx.dtype)
    keep = ones if reset is None else jnp.logical_not(reset).astype(zx.dtype)[..., None]
    begin = [0.0 if reset is None else cell.initial.get(name, 0.0) for name in cell.state_fields]
    unroll = UNROLL_ON_GPU if on_gpu() else 1
    # The matrices of the products, in their order: known after the forward step was traced.
    names: list[str] = []

    def rounded(matrices: Any) -> Any:
        """Return the matrices in the type of the products: rounded once, not at every step."""
        return {name: matrix.astype(products or matrix.dtype) for name, matrix in matrices.items()}

    def forward(zx: Any, keep: Any, state: Any, matrices: Any, vectors: Any) -> Any:
        ready = rounded(matrices)

        def step(state: Any, now: Any) -> Any:
            zx, keep = now
            if reset is not None:
                state = cell.state(*(v * keep + first * (1 - keep) for v, first in zip(state, begin, strict=True)))
            new, values, answers, operands = _recording(cell, products, zx, state, ready, vectors)
            names[:] = [name for name, _ in operands]
            record = state, values, answers, [operand for _, operand in operands]
            return new, ([getattr(new, name) for name in emitted], record)

        last, (outputs, records) = lax_scan(step, state, (zx, keep), unroll=unroll)
        return (outputs, last), (zx, keep, records, matrices, vectors)

    def backward(kept: Any, upstream: Any) -> Any:
        zx, keep, (*recorded, operands), matrices, vectors = kept
        d_outputs, d_last = upstream
        transposed = {name: matrix.T for name, matrix in rounded(matrices).items()}

        def step(carry: Any, now: Any) -> Any:
            (d_state, d_vectors), (zx, keep, record, d_outputs) = carry, now
            d_state = d_state._replace(
                **{name: getattr(d_state, name) + d for name, d in zip(emitted, d_outputs, strict=True)}
            )
            _, pull = jax.vjp(partial(_replayed, cell, products, transposed), zx, *record, vectors)
            d_zx, d_state, _, d_products, more = pull(d_state)
            if reset is not None:
                d_state = jax.tree.map(lambda d: d * keep, d_state)
            return (d_state, jax.tree.map(jnp.add, d_vectors, more)), (d_zx, d_products)

        start = d_last, jax.tree.map(jnp.zeros_like, vectors)
        (d_state, d_vectors), (d_zx, d_products) = lax_scan(
            step, start, (zx, keep, recorded, d_outputs), reverse=True, unroll=unroll
        )
        d_matrices = jax.tree.map(jnp.zeros_like, matrices)
        for name, operand, d in zip(names, operands, d_products, strict=True):
            operand, d = (array.reshape(-1, array.shape[-1]) for array in (operand, d))
            d_matrices[name] += product(operand.T, d, products)
        return d_zx, None, d_state, d_matrices, d_vectors

    @jax.custom_vjp
    def run(*arguments: Any) -> Any:
        return forward(*arguments)[0]

    run.defvjp(forward, backward)
    return run(zx, keep, cell.state(*state), dict(matrices), dict(vectors))
