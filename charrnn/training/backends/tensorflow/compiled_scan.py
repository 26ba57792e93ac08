"""The scan of a layer as compiled code, called from TensorFlow's graph; the matrix gradients are its own products."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn.cells import Cell
from charrnn.compiled.program import Place
from charrnn.compiled.scan import Function
from charrnn.training.backends.compiled import compiled_scan, fill, leaves


def scan(
    cell: Cell,
    zx: Any,
    state: Any,
    matrices: dict[str, Any],
    vectors: dict[str, Any],
    reset: Any = None,
    emitted: Sequence[str] = ("h",),
    gradient_wanted: bool = True,
) -> tuple[list[Any], Any]:
    """Run a cell over time; arguments and results are those of `contract.Engine.scan`."""
    (steps, rows), units = zx.shape[:2], state[0].shape[-1]
    native = compiled_scan(cell, units, tuple(emitted), reset is not None, zx.dtype.name)
    step, programs = native.programs.step, native.programs
    arguments = {"zx": zx}
    arguments |= {f"{array.name} first": value for array, value in zip(step.states.values(), state, strict=True)}
    arguments |= matrices | {f"w_{name}": vector for name, vector in vectors.items()}
    keep = {} if reset is None else {"keep": tf.cast(tf.logical_not(reset), zx.dtype)[..., None]}

    @tf.custom_gradient
    def run(*values: Any) -> Any:
        given = {**dict(zip(arguments, values, strict=True)), **keep}
        made = _call(native.forward, steps, rows, gradient_wanted, given)

        def gradient(*upstream: Any) -> Any:
            d_outputs, d_last = upstream[: len(emitted)], upstream[len(emitted) :]
            arriving = {f"d_out_{name}": d for name, d in zip(emitted, d_outputs, strict=True)}
            arriving |= {f"d_{name} last": d for name, d in zip(step.states, d_last, strict=True)}
            back = _call(native.backward, steps, rows, True, {**given, **made, **arriving})
            memory = {**given, **made, **back}
            d = {f"{array.name} first": back[f"d_{name}"][0] for name, array in step.states.items()}
            d |= {f"w_{name}": back[f"d_w_{name}"] for name in vectors}
            for product, left, right in zip(step.products, programs.left, programs.right, strict=True):
                a, dz = (
                    _columns(memory[place.array.name], place, width, steps)
                    for place, width in ((left, product.rows), (right, product.columns))
                )
                total = tf.matmul(a, dz, transpose_a=True)
                d[product.matrix] = d[product.matrix] + total if product.matrix in d else total
            d["zx"] = back["d_zx"]
            return [d[name] if name in d else tf.zeros_like(value) for name, value in given.items() if name != "keep"]

        outputs = [made[f"s_{name}"][1:] for name in emitted]
        return (*outputs, *(made[array.name][-1] for array in step.states.values())), gradient

    results = run(*map(tf.convert_to_tensor, arguments.values()))
    return list(results[: len(emitted)]), cell.state(*results[len(emitted) :])


def _call(function: Function, steps: int, rows: int, recording: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function fills, by name."""
    names = [a.name if a.role == "all" else f"{a.name} {a.role}" for a in function.layout.inputs]
    outputs = [a for a in function.layout.outputs if leaves(a)]
    dtype = given[names[0]].dtype

    def call(*inputs: np.ndarray) -> list[np.ndarray]:
        return fill(function, steps, rows, recording, inputs)

    # Stateful, it would wait for the other shards' calls.
    found = tf.numpy_function(call, [given[name] for name in names], [dtype] * len(outputs), stateful=False)
    for array, argument in zip(found, outputs, strict=True):
        array.set_shape(argument.shape(steps, rows, recording))
    return {argument.name: array for argument, array in zip(outputs, found, strict=True)}


def _columns(array: Any, place: Place, width: int, steps: int) -> Any:
    """Return a place's columns of an array by steps, with a row for each step and row of the batch."""
    flat = tf.reshape(array[:steps] if array.shape[0] != steps else array, (-1, array.shape[-1]))
    return flat if width == array.shape[-1] else flat[:, place.offset : place.offset + width]
