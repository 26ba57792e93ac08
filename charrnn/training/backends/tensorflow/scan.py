"""Fast backpropagation through time for any cell: a forward loop that records, a backward loop, and large products.

The forward loop runs the cell's equations and keeps the values that the backward loop will need: the states, the left
operands of the recurrent products, and the values of the activation functions. The backward loop computes the
vector-Jacobian product of one step with TensorFlow, in which every recurrent product and every activation is a recorded
value, and sends the gradient dz of each product back through its matrix. No matrix gradient is computed inside the
loop: the gradient of U is one large product after it, sum_t a_t^T dz_t.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from charrnn.cells import Cell
from charrnn.training.backends.calls import Answers
from charrnn.training.backends.tensorflow.ops import (
    multiplies_bfloat16,
    product,
    standardize_gradient,
    standardized,
    xp,
)

# The derivative of each activation, computed from its recorded value y.
FROM_VALUE: dict[str, Callable[..., tf.Tensor]] = {
    "exp": lambda y, dy: y * dy,
    "log_sigmoid": lambda y, dy: -tf.math.expm1(y) * dy,
    "standardize": standardize_gradient,
    "sigmoid": lambda y, dy: tf.raw_ops.SigmoidGrad(y=y, dy=dy),
    "relu": lambda y, dy: tf.raw_ops.ReluGrad(features=y, gradients=dy),
    "tanh": lambda y, dy: tf.raw_ops.TanhGrad(y=y, dy=dy),
}
# Steps in one iteration of the loop, to share its cost; more steps only make compilation slower.
UNROLL = (5, 4, 3, 2, 1)


class Step:
    """One time step of a cell, forwards and backwards.

    A step is a chain of calls (recurrent products and activations) with cheap arithmetic between them. Its record is
    [previous state..., values of the calls..., operands of the calls..., scales of the standardizations...]. In the
    backward pass every recorded value is a leaf, so that the arithmetic before it need not run again; the gradient of a
    call follows from the rule for its kind.
    """

    def __init__(
        self, cell: Cell, zx: Any, state: Sequence[Any], matrices: dict, vectors: dict, products: str | None = None
    ):
        """The arguments are those of the first step; only their shapes and types matter; zx: (batch, its width)."""
        self.cell = cell
        self.products = products
        self.calls: list[tuple[str, bool]] = []
        self._trace(zx, state, matrices, vectors)

    @property
    def dots(self) -> list[tuple[int, str]]:
        """Return the place among the calls and the matrix of every recurrent product."""
        return [(place, name) for place, (name, is_dot) in enumerate(self.calls) if is_dot]

    def _trace(self, *arguments: Any) -> None:
        """Run the step once on placeholders, to find its calls, their order, and the values that its gradient reads."""
        with tf.Graph().as_default():
            zx, state, matrices, vectors = tf.nest.map_structure(
                lambda array: tf.compat.v1.placeholder(array.dtype, array.shape), arguments
            )
            state = list(state)
            _, record = self.forward(zx, state, matrices, vectors, self.calls)
            self.shapes = [tuple(tensor.shape) for tensor in record]
            stand_ins = [tf.compat.v1.placeholder(zx.dtype, shape) for shape in self.shapes]
            self.levels, operands = self._levels(zx, stand_ins, vectors)
            # If the operand of a product is a field of the previous state, it need not be recorded again.
            fields = list(map(id, stand_ins[: len(state)]))
            self.operand_is_field = [
                fields.index(id(operands[place])) if id(operands[place]) in fields else None for place, _ in self.dots
            ]
            incoming = [tf.compat.v1.placeholder(field.dtype, field.shape) for field in state]
            transposed = {name: tf.transpose(matrix) for name, matrix in matrices.items()}
            d_zx, d_state, d_dots, d_vectors = self.backward(zx, stand_ins, transposed, vectors, incoming)
            read = _ancestors([d_zx, *d_state, *d_dots, *d_vectors])
            self.reads = {place for place, tensor in enumerate(stand_ins) if tensor.op in read}
            # Where zx and a product are only ever added, their gradients are one tensor: it is written once.
            self.is_d_zx = [d is d_zx for d in d_dots]

    def _levels(self, zx: Any, record: Sequence[Any], vectors: dict) -> tuple[list[list[int]], list[Any]]:
        """Return the calls grouped by how many calls in a chain precede them, the last first; and their operands."""
        _, operands, values = self._replay(zx, record, vectors)
        level: list[int] = []
        for operand in operands:
            before = _ancestors([operand])
            earlier = [level[place] for place, value in enumerate(values[: len(level)]) if value.op in before]
            level.append(1 + max(earlier, default=-1))
        depths = sorted(set(level), reverse=True)
        return [[place for place, depth in enumerate(level) if depth == wanted] for wanted in depths], operands

    def forward(
        self, zx: Any, state: Sequence[Any], matrices: dict, vectors: dict, calls: list[tuple[str, bool]] | None = None
    ) -> tuple[list[Any], list[Any]]:
        """Return the next state and the record of this step; note the name and kind of each call in `calls`."""
        values: list[Any] = []
        operands: list[Any] = []
        scales: list[Any] = []

        def call(name: str, is_dot: bool, operand: Any, value: Any) -> Any:
            if calls is not None:
                calls.append((name, is_dot))
            operands.append(operand)
            values.append(value)
            return value

        def dot(vector: Any, name: str) -> Any:
            return call(name, True, vector, product(vector, matrices[name], self.products))

        def activation(name: str, x: Any) -> Any:
            if name == "standardize":
                value, scale = standardized(x)
                scales.append(scale)
            else:
                value = getattr(xp, name)(x)
            return call(name, False, x, value)

        new = self.cell.step(Answers(xp, FROM_VALUE, activation), zx, self.cell.state(*state), dot, vectors)
        return list(new), [*state, *values, *operands, *scales]

    def _replay(self, zx: Any, record: Sequence[Any], vectors: dict) -> tuple[list[Any], list[Any], list[Any]]:
        """Run the step with recorded values as the results of its calls; return the next state, operands, values."""
        fields = len(self.cell.state_fields)
        values = list(record[fields : fields + len(self.calls)])
        operands: list[Any] = []

        def answer(name: str, operand: Any) -> Any:
            operands.append(operand)
            return values[len(operands) - 1]

        state = self.cell.state(*record[:fields])
        answers = Answers(xp, FROM_VALUE, answer)
        new = self.cell.step(answers, zx, state, lambda vector, name: answer(name, vector), vectors)
        return list(new), operands, values

    def backward(
        self, zx: Any, record: Sequence[Any], transposed: dict, vectors: dict, incoming: Sequence[Any]
    ) -> tuple[Any, list[Any], list[Any], list[Any]]:
        """Return the gradients of zx, the previous state, the products and the vectors from those of the next state.

        `transposed` has the transposes of the recurrent matrices, by name.
        """
        fields = len(self.cell.state_fields)
        sources = [zx, *record[: fields + len(self.calls)], *vectors.values()]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(sources)
            new, operands, values = self._replay(zx, record, vectors)
        totals = tape.gradient(new, sources, output_gradients=list(incoming))
        first_value = 1 + fields
        # In the order of the calls, in which they were recorded.
        places = [place for place, call in enumerate(self.calls) if call == ("standardize", False)]
        scales = dict(zip(places, record[fields + 2 * len(self.calls) :], strict=True))
        for level in self.levels:
            reached = [place for place in level if totals[first_value + place] is not None]
            d_operands = []
            for place in reached:
                name, is_dot = self.calls[place]
                d = totals[first_value + place]
                if is_dot:
                    d_operands.append(product(d, transposed[name], self.products))
                else:
                    scale = [scales[place]] if place in scales else []
                    d_operands.append(FROM_VALUE[name](values[place], d, *scale))
            if reached:
                more = tape.gradient([operands[place] for place in reached], sources, output_gradients=d_operands)
                totals = [_sum(total, part) for total, part in zip(totals, more, strict=True)]
        totals = [tf.zeros_like(source) if d is None else d for d, source in zip(totals, sources, strict=True)]
        d_dots = [totals[first_value + place] for place, _ in self.dots]
        return totals[0], totals[1:first_value], d_dots, totals[first_value + len(self.calls) :]


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _ancestors(tensors: Sequence[Any]) -> set[Any]:
    """Return all operations on which these tensors depend."""
    seen: set[Any] = set()
    pending = [tensor.op for tensor in tensors]
    while pending:
        op = pending.pop()
        if op not in seen:
            seen.add(op)
            pending.extend(tensor.op for tensor in op.inputs)
    return seen


def _sum_of_outer(a: Any, dz: Any, products: str | None) -> Any:
    """Return sum a^T dz over all axes but the last, (n, m) from (..., n) and (..., m): the gradient of a matrix."""
    a, dz = tf.reshape(a, (-1, a.shape[-1])), tf.reshape(dz, (-1, dz.shape[-1]))
    return product(a, dz, products, transpose_a=True)


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
    """Run a cell over time; its gradient is the fast one described above.

    zx: (time, batch, width), both lengths static; state: the cell's state, each field (batch, units); matrices and
    vectors by the cell's names; reset: (time, batch) booleans, true where the state first returns to its initial value.
    Without `gradient_wanted` nothing is recorded, and no gradient can be computed. `products` is the type in which the
    matrix products are computed, if not the type of their operands; everything else has the type of the operands.
    Returns the fields `emitted` after each step, (time, batch, units) each, and the last state.
    """
    steps = zx.shape[0]
    state = cell.state(*map(tf.convert_to_tensor, state))
    matrices = {name: tf.convert_to_tensor(matrix) for name, matrix in matrices.items()}
    # One row for each row of the batch: arithmetic with equal shapes is four times as fast as with one row for all.
    vectors = {name: tf.tile(vector[None], (zx.shape[1], 1)) for name, vector in vectors.items()}
    if products is not None:
        # Called here because its result is cached: nothing can be computed inside the graph in which `Step` is traced.
        multiplies_bfloat16()
    step = Step(cell, zx[0], state, matrices, vectors, products)
    fields = len(state)
    out = [cell.state_fields.index(name) for name in emitted]
    unroll = next(n for n in UNROLL if steps % n == 0)
    keep = None if reset is None else tf.cast(tf.logical_not(reset), zx.dtype)[:, :, None]
    # The values of the state where a document begins.
    begin = [0.0 if keep is None else cell.initial.get(name, 0.0) for name in cell.state_fields]

    def array(shape: Sequence[int]) -> tf.TensorArray:
        return tf.TensorArray(zx.dtype, steps, element_shape=shape, clear_after_read=False)

    @tf.custom_gradient
    def run(zx: Any, *operands: Any) -> Any:
        state = operands[:fields]
        matrices_ = dict(zip(matrices, operands[fields:], strict=False))
        # Rounded once, not at every step.
        rounded = {name: tf.cast(matrix, products or matrix.dtype) for name, matrix in matrices_.items()}
        vectors_ = dict(zip(vectors, operands[fields + len(matrices) :], strict=True))
        # The left operands of products are needed after the loop, even if the backward step does not read them.
        left = [
            None if keep is None and field in out else fields + len(step.calls) + place
            for (place, _), field in zip(step.dots, step.operand_is_field, strict=True)
        ]
        wanted = set() if not gradient_wanted else step.reads | {place for place in left if place is not None}
        records = {place: array(step.shapes[place]) for place in sorted(wanted)}

        def forward(t: Any, state: Any, outputs: Any, records: Any) -> Any:
            for t_now in [t + n for n in range(unroll)]:
                if keep is not None:
                    state = [
                        value * keep[t_now] + (first * (1.0 - keep[t_now]) if first else 0.0)
                        for value, first in zip(state, begin, strict=True)
                    ]
                state, record = step.forward(zx[t_now], state, rounded, vectors_)
                outputs = [a.write(t_now, state[field]) for a, field in zip(outputs, out, strict=True)]
                records = {place: a.write(t_now, record[place]) for place, a in records.items()}
            return t + unroll, state, outputs, records

        _, last, outputs, records = tf.while_loop(
            lambda t, *_: t < steps,
            forward,
            (tf.constant(0), list(state), [array(state[field].shape) for field in out], records),
            parallel_iterations=1,
            maximum_iterations=steps // unroll,
        )
        outputs = [a.stack() for a in outputs]

        def gradient(*upstream: Any) -> Any:
            d_outputs, d_last = upstream[: len(out)], upstream[len(out) :]
            # A product with a transposed operand has two thirds of the speed: so transpose once, not at every step.
            transposed = {name: tf.transpose(matrix) for name, matrix in rounded.items()}
            own_dz = [n for n, is_d_zx in enumerate(step.is_d_zx) if not is_d_zx]

            def backward(t: Any, d_state: Any, d_vectors: Any, d_zx: Any, d_dots: Any) -> Any:
                for t_now in [t - n for n in range(unroll)]:
                    record = [
                        records[place].read(t_now) if place in step.reads else tf.zeros(shape, zx.dtype)
                        for place, shape in enumerate(step.shapes)
                    ]
                    incoming = list(d_state)
                    for field, d_output in zip(out, d_outputs, strict=True):
                        incoming[field] = incoming[field] + d_output[t_now]
                    d_zx_now, d_state, d_dots_now, d_vectors_now = step.backward(
                        zx[t_now], record, transposed, vectors_, incoming
                    )
                    if keep is not None:
                        d_state = [value * keep[t_now] for value in d_state]
                    d_vectors = [total + value for total, value in zip(d_vectors, d_vectors_now, strict=True)]
                    d_zx = d_zx.write(t_now, d_zx_now)
                    d_dots = {n: a.write(t_now, d_dots_now[n]) for n, a in d_dots.items()}
                return t - unroll, d_state, d_vectors, d_zx, d_dots

            _, d_state, d_vectors, d_zx, d_dots = tf.while_loop(
                lambda t, *_: t >= 0,
                backward,
                (
                    tf.constant(steps - 1),
                    list(d_last),
                    [tf.zeros_like(v) for v in vectors_.values()],
                    array(zx.shape[1:]),
                    {n: array(step.shapes[fields + step.dots[n][0]]) for n in own_dz},
                ),
                parallel_iterations=1,
                maximum_iterations=steps // unroll,
            )
            d_zx = d_zx.stack()
            d_matrices = {name: tf.zeros_like(matrix) for name, matrix in matrices_.items()}
            for n, (_, name) in enumerate(step.dots):
                dz = d_dots[n].stack() if n in own_dz else d_zx
                if left[n] is not None:
                    d_matrices[name] += _sum_of_outer(records[left[n]].stack(), dz, products)
                else:
                    field = step.operand_is_field[n]
                    assert field is not None
                    after = outputs[out.index(field)]
                    d_matrices[name] += _sum_of_outer(after[:-1], dz[1:], products)
                    d_matrices[name] += _sum_of_outer(state[field], dz[0], products)
            return d_zx, *d_state, *d_matrices.values(), *d_vectors

        return (*outputs, *last), gradient

    results = run(zx, *state, *matrices.values(), *vectors.values())
    return list(results[: len(out)]), cell.state(*results[len(out) :])
