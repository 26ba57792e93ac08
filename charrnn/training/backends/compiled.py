"""Compiled code in a backend's graph: the scan of a layer, products, the look-up and dropout, with their gradients.

A backend offers `native`, which calls compiled code, and `custom_gradient`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from charrnn.cells import Cell
from charrnn.compiled.dropout import Dropout
from charrnn.compiled.graph import Kind
from charrnn.compiled.matmul import MatMul
from charrnn.compiled.program import Place
from charrnn.compiled.row_sums import RowSums
from charrnn.compiled.scan import CompiledScan, Function, Native


class Output(NamedTuple):
    """An array that compiled code fills; `kept` is False if it is needed only during the call."""

    shape: tuple[int, ...]
    kept: bool = True


class Calls(Protocol):
    """What a backend offers.

    prepare(): raises an exception if compiled code cannot be called on this processor; nothing calls it on a GPU.
    scan_of(cell, units, emitted, resets, dtype, more): the compiled scan of a layer.
    native(code, sizes, inputs, outputs): the outputs that are kept, of the type of the first input.
    custom_gradient(function): like `function`, which returns its results and a function that returns the gradients of
    its arguments from those of its results. transposed_product(a, b): a^T b. words(seed, step, layer, first_row): the
    words that `Dropout` reads, where `step` is from `Engine.counter`.
    """

    xp: Any

    def prepare(self) -> None: ...
    def scan_of(
        self, cell: Cell, units: int, emitted: tuple[str, ...], resets: bool, dtype: str, more: int = 0
    ) -> Any: ...
    def native(self, code: Native, sizes: Sequence[int], inputs: Sequence[Any], outputs: Sequence[Output]) -> Any: ...
    def custom_gradient(self, function: Any) -> Any: ...
    def transposed_product(self, a: Any, b: Any) -> Any: ...
    def words(self, seed: int, step: Any, layer: int, first_row: Any) -> Any: ...


@cache
def scan_of(cell: Cell, units: int, emitted: tuple[str, ...], resets: bool, dtype: str, more: int = 0) -> CompiledScan:
    """Return the compiled scan of a layer; a process compiles it once."""
    return CompiledScan(cell, units, emitted, resets, dtype, more)


_row_sums = cache(RowSums)
_dropout = cache(Dropout)
_matmul = cache(MatMul)


class OnProcessor:
    """What the calls of all backends have in common on a processor."""

    scan_of = staticmethod(scan_of)

    def transposed_product(self: Any, a: Any, b: Any) -> Any:
        """Return a^T b."""
        return _product(self, "atb", a, b)


def matmul(calls: Calls, a: Any, b: Any) -> Any:
    """Return a b for two matrices."""

    def product(a: Any, b: Any) -> Any:
        return _product(calls, "ab", a, b), lambda d: (_product(calls, "abt", d, b), _product(calls, "atb", a, d))

    return calls.custom_gradient(product)(a, b)


def _product(calls: Calls, form: str, a: Any, b: Any) -> Any:
    """Return a product of two matrices in a form of `MatMul`."""
    code = _matmul(form, a.dtype.name)
    m, k = reversed(a.shape) if form == "atb" else a.shape
    n, inner = b.shape if form == "abt" else reversed(b.shape)
    # The code would read beyond the arrays.
    assert inner == k and a.dtype == b.dtype, (form, a.shape, b.shape, a.dtype, b.dtype)
    memory = [Output((size,), kept=False) for size in code.memory(m, k, n)]
    return calls.native(code, (m, k, n), [a, b], [Output((m, n)), *memory])[0]


def look_up(calls: Calls, table: Any, ids: Any) -> Any:
    """Return the rows of a table at ids, (..., width) for int32 of any shape; the gradient is dense."""
    rows, width = table.shape
    # The code reads them as such.
    assert ids.dtype.name == "int32", ids.dtype
    code = _row_sums(width, table.dtype.name)

    def read(table: Any) -> Any:
        def gradient(d: Any) -> Any:
            flat = calls.xp.reshape(d, (-1, width))
            at = calls.xp.reshape(ids, (-1,))
            return calls.native(code, (flat.shape[0], rows), [flat, at], [Output((rows, width))])[0]

        return calls.xp.take(table, ids, axis=0), gradient

    return calls.custom_gradient(read)(table)


def dropout(calls: Calls, x: Any, rate: float, words: Any) -> Any:
    """Return x, (time, rows, units), with zeros at a rate, the rest scaled up; `words` is from `Calls.words`."""
    steps, rows, units = x.shape
    code = _dropout(units, rate, x.dtype.name)

    def masked(x: Any) -> Any:
        return calls.native(code, (steps, rows), [x, words], [Output((steps, rows, units))])[0]

    # The gradient has the same mask.
    return calls.custom_gradient(lambda x: (masked(x), masked))(x)


def scan(
    calls: Calls,
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
    keep = None if reset is None else calls.xp.where(reset, calls.xp.zeros_like(zx[:, :, 0]), 1.0)[..., None]
    (steps, rows), units = zx.shape[:2], state[0].shape[-1]
    more = zx.shape[-1] - cell.width(units)
    compiled = calls.scan_of(cell, units, tuple(emitted), keep is not None, zx.dtype.name, more)
    step = compiled.programs.step
    arguments = {"zx": zx}
    arguments |= {f"{array.name} first": value for array, value in zip(step.states.values(), state, strict=True)}
    arguments |= matrices | {f"w_{name}": vector for name, vector in vectors.items()}
    resets = {} if keep is None else {"keep": keep}

    def run(*values: Any) -> Any:
        given = {**dict(zip(arguments, values, strict=True)), **resets}
        made = _filled(calls, compiled.forward, steps, rows, gradient_wanted, given)

        def gradient(*upstream: Any) -> Any:
            arriving = {f"d_out_{name}": d for name, d in zip(emitted, upstream, strict=False)}
            arriving |= {f"d_{name} last": d for name, d in zip(step.states, upstream[len(emitted) :], strict=True)}
            back = _filled(calls, compiled.backward, steps, rows, True, {**given, **made, **arriving})
            d = {"zx": back["d_zx"]}
            d |= {f"{array.name} first": back[f"d_{name}"][0] for name, array in step.states.items()}
            d |= {f"w_{name}": back[f"d_w_{name}"] for name in vectors}
            d |= _of_matrices(calls, compiled, steps, {**given, **made, **back})
            zeros = calls.xp.zeros_like
            return tuple(d[name] if name in d else zeros(given[name]) for name in arguments)

        outputs = [made[f"s_{name}"][1:] for name in emitted]
        return (*outputs, *(made[array.name][-1] for array in step.states.values())), gradient

    results = calls.custom_gradient(run)(*arguments.values())
    return list(results[: len(emitted)]), cell.state(*results[len(emitted) :])


def _filled(
    calls: Calls, function: Function, steps: int, rows: int, recording: bool, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arrays by steps, and the others that are needed after the call, by name."""
    inputs = [given[a.name if a.role == "all" else f"{a.name} {a.role}"] for a in function.layout.inputs]
    kept = [a for a in function.layout.outputs if a.array is not None and a.array.kind is not Kind.SCRATCH]
    outputs = [Output(a.shape(steps, rows, recording), a in kept) for a in function.layout.outputs]
    found = calls.native(function, (steps, rows, recording), inputs, outputs)
    return {argument.name: array for argument, array in zip(kept, found, strict=True)}


def _of_matrices(calls: Calls, compiled: CompiledScan, steps: int, memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gradients of the matrices: the sum over all steps and rows of left^T right, for each product."""
    programs = compiled.programs
    d: dict[str, Any] = {}

    def columns(place: Place, width: int) -> Any:
        array = memory[place.array.name]
        array = array if array.shape[0] == steps else array[:steps]
        flat = calls.xp.reshape(array, (-1, array.shape[-1]))
        return flat if width == array.shape[-1] else flat[:, place.offset : place.offset + width]

    for product, left, right in zip(programs.step.products, programs.left, programs.right, strict=True):
        total = calls.transposed_product(columns(left, product.rows), columns(right, product.columns))
        d[product.matrix] = d[product.matrix] + total if product.matrix in d else total
    return d
