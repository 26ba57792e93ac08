"""A cell's step as a list of NumPy calls into buffers that are allocated once; the calls come from its trace.

Equations on arrays allocate memory at every operation. For a single stream that costs more than the arithmetic. So each
operation of the trace (`cells/trace.py`) becomes calls `function(*inputs, out)`. Activations of neighbouring blocks of
one array are combined into one call for all of them. What is made of vectors alone is computed once.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.cells import Cell
from charrnn.cells.cell import EPSILON
from charrnn.cells.trace import Node, Trace
from charrnn.errors import CharRNNError

Call = tuple[Callable[..., Any], tuple[Any, ...]]

# sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: with these (scale, shift) every activation is tanh(x * scale) * scale + shift.
ACTIVATIONS = {"sigmoid": (0.5, 0.5), "tanh": (1.0, 0.0)}


def _standardize(x: np.ndarray, out: np.ndarray) -> None:
    np.subtract(x, np.add.reduce(x, axis=-1, keepdims=True) / x.shape[-1], out)
    variance = np.einsum("...i,...i->...", out, out)[..., None] / x.shape[-1]
    np.divide(out, np.sqrt(variance + EPSILON), out)


def _log_sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    np.negative(x, out)
    np.logaddexp(0, out, out)
    np.negative(out, out)


def _maximum(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    # np.maximum accepts its output only by keyword, unlike the other functions of two arrays here.
    np.maximum(x, y, out=out)


# The operations of a trace that are one call.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "exp": np.exp,
    "maximum": _maximum,
    "relu": _maximum,
    "log_sigmoid": _log_sigmoid,
    "standardize": _standardize,
}


def check(cell: Cell) -> None:
    """Raise CharRNNError if a plan cannot compute the step of a cell."""
    units = 8
    matrices = {name: np.zeros(matrix.shape(units), np.float32) for name, matrix in cell.matrices.items()}
    vectors = {name: np.zeros(len(vector.starts) * units, np.float32) for name, vector in cell.vectors.items()}
    try:
        plan = Plan(cell, units, matrices, vectors)
        with np.errstate(all="ignore"):
            for function, arguments in plan.calls:
                function(*arguments)
    except CharRNNError:
        raise
    except Exception as error:
        # The cell may be the user's code, which can raise anything.
        raise CharRNNError(
            f"The step of the cell {cell.name} cannot be computed: {type(error).__name__}: {error}.",
            hint="docs/cells.md describes what a step may do.",
        ) from error


class Plan:
    """One step of one layer: fill `zx`, run the `calls`, and `state` has the new state; `state[0]` is the output.

    zx: (batch, its width), state: the cell's fields, (batch, units). With a batch of 1 the batch axis is left out,
    because NumPy is faster without it.
    """

    def __init__(
        self,
        cell: Cell,
        units: int,
        matrices: Mapping[str, np.ndarray],
        vectors: Mapping[str, np.ndarray],
        batch: int = 1,
        dtype: Any = np.float32,
    ):
        self.dtype = np.dtype(dtype)
        self.lead = (batch,) if batch > 1 else ()
        self.matrices, self.vectors = matrices, vectors
        self.calls: list[Call] = []
        self.arrays: dict[Node, np.ndarray] = {}
        self.trace = trace = Trace(cell, units)
        for node in (trace.zx, *trace.state):
            self.arrays[node] = self._buffer(node.width)
        self.zx = self.arrays[trace.zx]
        self.state = cell.state(*(self.arrays[node] for node in trace.state))
        in_place = {node: self.arrays[was] for node, was in _in_place(trace).items()}
        for node in trace.nodes:
            if node not in self.arrays:
                start = len(self.calls)
                self._compile(node, trace.nodes, in_place.get(node))
                if len(node.shape) == 1:
                    for function, arguments in self.calls[start:]:
                        function(*arguments)
                    del self.calls[start:]
        self._store(
            [
                (self.arrays[node], self.arrays[was], _root(node) in trace.state)
                for node, was in zip(trace.new, trace.state, strict=True)
            ]
        )

    def hold(self, field: str, place: int, value: float) -> None:
        """Let a unit of a field of the state have this value after each step, before anything else reads it."""
        self.calls.append((np.copyto, (getattr(self.state, field)[..., place], self._constant(value))))

    def _store(self, moves: list[tuple[np.ndarray, np.ndarray, bool]]) -> None:
        """Add the calls that copy the new state over the old one; moves are (from, to, whether from an old state)."""
        moves = [move for move in moves if move[0] is not move[1]]
        late = []
        for source, target, is_old in moves:
            if is_old:
                # Another field may overwrite this one first.
                kept = np.empty_like(target)
                self.calls.append((np.copyto, (kept, source)))
                source = kept
            late.append((np.copyto, (target, source)))
        self.calls += late

    def _buffer(self, width: int) -> np.ndarray:
        return np.zeros((*self.lead, width), self.dtype)

    def _compile(self, node: Node, trace: list[Node], out: np.ndarray | None) -> None:
        """Add the calls that compute `node` (into `out` if given), and its neighbours if it is an activation."""
        operation, operands, arrays = node.operation, node.operands, self.arrays
        if operation in ACTIVATIONS:
            self._activate(_neighbours(node, trace))
        elif operation == "vector":
            arrays[node] = self._constant(self.vectors[node.name])
        elif operation == "constant":
            arrays[node] = self._constant(node.value)
        elif operation == "part":
            arrays[node] = arrays[operands[0]][..., node.low : _end(node)]
        else:
            arrays[node] = self._buffer(node.width) if out is None else out
            self.calls += self._calls(node)

    def _calls(self, node: Node) -> list[Call]:
        """Return the calls that compute a node from the arrays of its operands."""
        out, operation, operands = self.arrays[node], node.operation, node.operands
        if operation == "relu":
            operands = (*operands, 0)
        inputs = [self.arrays[x] if isinstance(x, Node) else self._constant(x) for x in operands]
        if operation == "dot":
            return [(product(inputs[0]), (inputs[0], self.matrices[node.name], out))]
        if operation == "whole":
            ends = list(itertools.accumulate(part.width for part in operands))
            places = [out[..., end - part.width : end] for part, end in zip(operands, ends, strict=True)]
            return [(np.copyto, copy) for copy in zip(places, inputs, strict=True)]
        return [(FUNCTIONS[operation], (*inputs, out))]

    def _constant(self, value: Any) -> np.ndarray:
        return np.asarray(value, self.dtype)

    def _activate(self, nodes: list[Node]) -> None:
        """Add the calls that compute activations of neighbouring blocks of one array, all of them at once."""
        first, last = nodes[0].operands[0], nodes[-1].operands[0]
        arrays = self.arrays
        source = arrays[first] if len(nodes) == 1 else arrays[first.operands[0]][..., first.low : _end(last)]
        values = self._buffer(source.shape[-1])
        low = 0
        for node in nodes:
            arrays[node] = values[..., low : low + node.width]
            low += node.width
        if all(node.operation == "tanh" for node in nodes):
            self.calls.append((np.tanh, (source, values)))
        else:
            widths = [node.width for node in nodes]
            scale = self._constant(np.repeat([ACTIVATIONS[node.operation][0] for node in nodes], widths))
            shift = self._constant(np.repeat([ACTIVATIONS[node.operation][1] for node in nodes], widths))
            self.calls += [
                (np.multiply, (source, scale, values)),
                (np.tanh, (values, values)),
                (np.multiply, (values, scale, values)),
                (np.add, (values, shift, values)),
            ]

    def run(self, zx: np.ndarray, emitted: Sequence[str] = ("h",)) -> list[np.ndarray]:
        """Step through zx, (time, batch, its width), from the current state; return these fields after each step."""
        fields = [getattr(self.state, name) for name in emitted]
        outputs = [np.empty((*zx.shape[:2], field.shape[-1]), self.dtype) for field in fields]
        calls, into = self.calls, self.zx
        pairs = list(zip(outputs if self.lead else [array[:, 0] for array in outputs], fields, strict=True))
        for t, now in enumerate(zx if self.lead else zx[:, 0]):
            into[...] = now
            for function, arguments in calls:
                function(*arguments)
            for output, field in pairs:
                output[t] = field
        return outputs


def product(vector: np.ndarray) -> Callable[..., Any]:
    """Return the fastest matrix product for this left operand: np.dot has less overhead before BLAS than matmul."""
    return np.dot if vector.ndim == 1 else np.matmul


def _in_place(trace: Trace) -> dict[Node, Node]:
    """Return the nodes of the new state that can be computed in place of the old state, with the old ones."""
    kept = {_root(node) for node in trace.new}
    return {
        node: was
        for node, was in zip(trace.new, trace.state, strict=True)
        if was not in kept and _last_use(trace.nodes, was) < trace.nodes.index(node)
    }


def _root(node: Node) -> Node:
    """Return the node that contains this one, or the node itself."""
    return _root(node.operands[0]) if node.operation == "part" else node


def _end(part: Node) -> int:
    """Return the first column after a part."""
    return part.low + part.width


def _last_use(trace: list[Node], node: Node) -> int:
    """Return the place of the last operation that reads a node or a part of it, or -1."""
    uses = [-1]
    for place, user in enumerate(trace):
        if node in user.operands:
            uses.append(max(place, _last_use(trace, user)) if user.operation == "part" else place)
    return max(uses)


def _neighbours(node: Node, trace: list[Node]) -> list[Node]:
    """Return the activations of neighbouring blocks of one split array, including `node`, or only `node`."""
    if node.operands[0].operation != "part":
        return [node]
    parent = node.operands[0].operands[0]
    by_start: dict[int, Node] = {}
    for other in trace:
        if other.operation in ACTIVATIONS and other.operands[0].operation == "part":
            part = other.operands[0]
            if part.operands[0] is parent:
                by_start.setdefault(part.low, other)
    group = [node]
    while (after := by_start.get(_end(group[-1].operands[0]))) is not None:
        group.append(after)
    ends = {_end(other.operands[0]): other for other in by_start.values()}
    while (before := ends.get(group[0].operands[0].low)) is not None:
        group.insert(0, before)
    return group
