"""Backpropagation through time, fast, for any cell: a forward loop that records, a backward loop, and big products.

The forward loop runs the cell's equations and keeps what the backward loop will need: the states, the left operands of
the recurrent products, and the values of the activation functions. The backward loop asks TensorFlow for the
vector-Jacobian product of one step, in which every recurrent product and every activation is a recorded value, and
sends the gradient dz of each product back through its matrix. No matrix gradient is formed inside the loop: that of U
is the one large product sum_t a_t^T dz_t after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import ops

from charrnn.cells import Cell

# The derivative of each activation from its value y: such a value is recorded, not computed again.
FROM_VALUE: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "sigmoid": lambda y, dy: tf.raw_ops.SigmoidGrad(y=y, dy=dy),
    "tanh": lambda y, dy: tf.raw_ops.TanhGrad(y=y, dy=dy),
}
# Steps that share one turn of the loop, to spread the cost of turning it; more only makes compilation slower.
UNROLL = (5, 4, 3, 2, 1)


class Ops:
    """The namespace `xp` of a step: keras.ops, but for the activations, which `on_activation(name, x)` answers."""

    def __init__(self, on_activation: Callable[[str, tf.Tensor], tf.Tensor]):
        for name in FROM_VALUE:
            setattr(self, name, lambda x, name=name: on_activation(name, x))

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


class Step:
    """One time step of a cell, forwards and backwards, over flat lists of tensors.

    A record of a step is [previous state..., left operands of dots..., products of dots..., activations...];
    `kept` says which of them the backward step reads.
    """

    def __init__(self, cell: Cell, batch: int, units: int, dtype: Any):
        self.cell = cell
        self.units = units
        self.dots: list[str] = []
        self.operand_is_state: list[bool] = []
        self.kept: set[int] = set()
        self.shapes: list[tuple[int, ...]] = []
        self._trace(batch, dtype)

    def _trace(self, batch: int, dtype: Any) -> None:
        """Run the step once on placeholders, to learn its dots and what its backward step reads."""
        with tf.Graph().as_default():

            def placeholder(width: int) -> tf.Tensor:
                return tf.compat.v1.placeholder(dtype, (batch, width))

            zx = placeholder(self.cell.gates * self.units)
            state = [placeholder(self.units) for _ in self.cell.state_fields]
            matrices = {
                name: tf.compat.v1.placeholder(dtype, (self.units, blocks * self.units))
                for name, blocks in self.cell.matrices.items()
            }
            vectors = {name: tf.compat.v1.placeholder(dtype, (self.units,)) for name in self.cell.vectors}
            _, record = self.forward(zx, state, matrices, vectors, tracing=True)
            self.shapes = [tuple(tensor.shape) for tensor in record]
            stand_ins = [tf.compat.v1.placeholder(dtype, shape) for shape in self.shapes]
            incoming = [placeholder(self.units) for _ in self.cell.state_fields]
            transposed = {name: tf.transpose(matrix) for name, matrix in matrices.items()}
            results = self.backward(zx, stand_ins, transposed, vectors, incoming)
            read = _ancestors([t for part in results for t in part if t is not None])
            # Where zx and a product are only ever added, their gradients are one tensor: it is written once.
            d_zx, d_products = results[0][0], results[2]
            self.is_d_zx = [d is d_zx for d in d_products]
            self.kept = {i for i, tensor in enumerate(stand_ins) if tensor.op in read}

    def forward(
        self, zx: Any, state: Sequence[Any], matrices: dict, vectors: dict, tracing: bool = False
    ) -> tuple[list[Any], list[Any]]:
        """Return the next state and the record of this step."""
        operands, products, activations = [], [], []

        def dot(vector: Any, name: str) -> Any:
            operands.append(vector)
            products.append(tf.matmul(vector, matrices[name]))
            if tracing:
                self.dots.append(name)
                self.operand_is_state.append(vector is state[0])
            return products[-1]

        def activation(name: str, x: Any) -> Any:
            activations.append(getattr(ops, name)(x))
            return activations[-1]

        new = self.cell.step(Ops(activation), zx, self.cell.state(*state), dot, vectors)
        return list(new), [*state, *operands, *products, *activations]

    def backward(
        self, zx: Any, record: Sequence[Any], transposed: dict, vectors: dict, incoming: Sequence[Any]
    ) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Return the gradients ([zx], previous state, products, vectors) from those of the next state.

        `transposed` holds the transposes of the recurrent matrices, by name.
        """
        fields, dots = len(self.cell.state_fields), len(self.dots)
        state = list(record[:fields])
        products = record[fields + dots : fields + 2 * dots]
        activations = iter(record[fields + 2 * dots :])
        d_products: list[Any] = [None] * dots
        count = iter(range(dots))

        def dot(vector: Any, name: str) -> Any:
            place = next(count)

            @tf.custom_gradient
            def recorded(vector: Any) -> Any:
                def gradient(dz: Any) -> Any:
                    d_products[place] = dz
                    return tf.matmul(dz, transposed[name])

                return tf.identity(products[place]), gradient

            return recorded(vector)

        def activation(name: str, x: Any) -> Any:
            y = next(activations)

            @tf.custom_gradient
            def recorded(x: Any) -> Any:
                return tf.identity(y), lambda dy: FROM_VALUE[name](y, dy)

            return recorded(x)

        watched = [zx, *state, *vectors.values()]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            new = self.cell.step(Ops(activation), zx, self.cell.state(*state), dot, vectors)
        gradients = tape.gradient(
            list(new), watched, output_gradients=list(incoming), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients[:1], gradients[1 : 1 + fields], d_products, gradients[1 + fields :]


def _ancestors(tensors: Sequence[tf.Tensor]) -> set[Any]:
    """Return every operation whose value these tensors depend on."""
    seen: set[Any] = set()
    pending = [tensor.op for tensor in tensors]
    while pending:
        op = pending.pop()
        if op not in seen:
            seen.add(op)
            pending.extend(tensor.op for tensor in op.inputs)
    return seen


def _sum_of_outer(a: Any, dz: Any) -> Any:
    """Return sum a^T dz over all axes but the last, (n, m) from (..., n) and (..., m): the gradient of a matrix."""
    return tf.matmul(tf.reshape(a, (-1, a.shape[-1])), tf.reshape(dz, (-1, dz.shape[-1])), transpose_a=True)


def scan(
    cell: Cell, zx: Any, state: Any, matrices: dict[str, Any], vectors: dict[str, Any], reset: Any = None
) -> tuple[Any, Any]:
    """Run a cell over time; its gradient is the fast one described above.

    zx: (time, batch, gates * units), both lengths static; state: the cell's state, each field (batch, units);
    matrices: (units, blocks * units) each; reset: (time, batch) booleans, true where the state returns to zero first.
    Returns the outputs, (time, batch, units), and the last state.
    """
    steps, batch, _ = zx.shape
    units = state[0].shape[-1]
    step = Step(cell, batch, units, zx.dtype)
    fields, dots = len(cell.state_fields), len(step.dots)
    unroll = next(n for n in UNROLL if steps % n == 0)
    keep = None if reset is None else tf.cast(tf.logical_not(reset), zx.dtype)[:, :, None]

    def array(shape: Sequence[int]) -> tf.TensorArray:
        return tf.TensorArray(zx.dtype, steps, element_shape=shape, clear_after_read=False)

    @tf.custom_gradient
    def run(zx: Any, *operands: Any) -> Any:
        state = operands[:fields]
        matrices_ = dict(zip(matrices, operands[fields:], strict=False))
        vectors_ = dict(zip(vectors, operands[fields + len(matrices) :], strict=True))
        # The left operands of dots are needed after the loop, whatever the backward step itself reads.
        wanted = step.kept | {
            fields + place for place in range(dots) if keep is not None or not step.operand_is_state[place]
        }
        records = {place: array(step.shapes[place]) for place in sorted(wanted)}

        def forward(t: Any, state: Any, outputs: Any, records: Any) -> Any:
            for t_now in [t + n for n in range(unroll)]:
                if keep is not None:
                    state = [value * keep[t_now] for value in state]
                state, record = step.forward(zx[t_now], state, matrices_, vectors_)
                outputs = outputs.write(t_now, state[0])
                records = {place: a.write(t_now, record[place]) for place, a in records.items()}
            return t + unroll, state, outputs, records

        _, last, outputs, records = tf.while_loop(
            lambda t, *_: t < steps,
            forward,
            (tf.constant(0), list(state), array((batch, units)), records),
            parallel_iterations=1,
            maximum_iterations=steps // unroll,
        )
        outputs = outputs.stack()

        def gradient(d_outputs: Any, *d_last: Any) -> Any:
            # A product with a transposed operand runs at two thirds of the speed: transpose once, not at every step.
            transposed = {name: tf.transpose(matrix) for name, matrix in matrices_.items()}
            own_dz = [place for place in range(dots) if not step.is_d_zx[place]]

            def backward(t: Any, d_state: Any, d_vectors: Any, d_zx: Any, d_products: Any) -> Any:
                for t_now in [t - n for n in range(unroll)]:
                    record = [
                        records[place].read(t_now) if place in step.kept else tf.zeros(shape, zx.dtype)
                        for place, shape in enumerate(step.shapes)
                    ]
                    incoming = [d_outputs[t_now] + d_state[0], *d_state[1:]]
                    (d_zx_now,), d_state, d_products_now, d_vectors_now = step.backward(
                        zx[t_now], record, transposed, vectors_, incoming
                    )
                    if keep is not None:
                        d_state = [value * keep[t_now] for value in d_state]
                    d_vectors = [total + value for total, value in zip(d_vectors, d_vectors_now, strict=True)]
                    d_zx = d_zx.write(t_now, d_zx_now)
                    d_products = {place: a.write(t_now, d_products_now[place]) for place, a in d_products.items()}
                return t - unroll, d_state, d_vectors, d_zx, d_products

            _, d_state, d_vectors, d_zx, d_products = tf.while_loop(
                lambda t, *_: t >= 0,
                backward,
                (
                    tf.constant(steps - 1),
                    list(d_last),
                    [tf.zeros_like(v) for v in vectors_.values()],
                    array(zx.shape[1:]),
                    {place: array(step.shapes[fields + dots + place]) for place in own_dz},
                ),
                parallel_iterations=1,
                maximum_iterations=steps // unroll,
            )
            d_zx = d_zx.stack()
            d_matrices = {name: tf.zeros_like(matrix) for name, matrix in matrices_.items()}
            for place, name in enumerate(step.dots):
                dz = d_products[place].stack() if place in own_dz else d_zx
                if fields + place in records:
                    d_matrices[name] += _sum_of_outer(records[fields + place].stack(), dz)
                else:
                    d_matrices[name] += _sum_of_outer(outputs[:-1], dz[1:]) + _sum_of_outer(state[0], dz[0])
            return d_zx, *d_state, *d_matrices.values(), *d_vectors

        return (outputs, *last), gradient

    operands = [*state, *matrices.values(), *vectors.values()]
    outputs, *last = run(zx, *(tf.convert_to_tensor(operand) for operand in operands))
    return outputs, cell.state(*last)
