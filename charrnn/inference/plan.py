"""A cell's step as a list of NumPy calls into buffers that are allocated once; the calls are traced from its equations.

Equations on arrays allocate memory at every operation. For a single stream that costs more than the arithmetic. So the
step runs once on `Node`s, which record the operations; the records become calls `function(*inputs, out)`.
Activations of neighbouring blocks of one array are combined into one call for all of them.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.cells import Cell
from charrnn.cells.cell import EPSILON
from charrnn.errors import CharRNNError

Call = tuple[Callable[..., Any], tuple[Any, ...]]

# sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: with these (scale, shift) every activation is tanh(x * scale) * scale + shift.
ACTIVATIONS = {"sigmoid": (0.5, 0.5), "tanh": (1.0, 0.0)}


class Node:
    """An array that a step computes: an operation, its operands, and its width; `array` is where its value will be."""

    array: np.ndarray
    # With this, NumPy arrays let the node do arithmetic between an array and a node.
    __array_ufunc__ = None

    def __init__(self, trace: list["Node"], operation: Any, operands: Sequence[Any], width: int):
        self.trace, self.operation, self.operands, self.width = trace, operation, operands, width
        self.shape = (None, width)
        trace.append(self)

    def _combine(self, function: Callable[..., Any], left: Any, right: Any) -> "Node":
        width = max(operand.width for operand in (left, right) if isinstance(operand, Node))
        return Node(self.trace, function, (left, right), width)

    def __add__(self, other: Any) -> "Node":
        return self._combine(np.add, self, other)

    def __radd__(self, other: Any) -> "Node":
        return self._combine(np.add, other, self)

    def __sub__(self, other: Any) -> "Node":
        return self._combine(np.subtract, self, other)

    def __rsub__(self, other: Any) -> "Node":
        return self._combine(np.subtract, other, self)

    def __mul__(self, other: Any) -> "Node":
        return self._combine(np.multiply, self, other)

    def __rmul__(self, other: Any) -> "Node":
        return self._combine(np.multiply, other, self)

    def __truediv__(self, other: Any) -> "Node":
        return self._combine(np.divide, self, other)

    def __rtruediv__(self, other: Any) -> "Node":
        return self._combine(np.divide, other, self)

    def __neg__(self) -> "Node":
        return self._combine(np.multiply, self, -1)


class Functions(type):
    """Raises a CharRNNError for a function that a namespace does not have."""

    def __getattr__(cls, name: str) -> Any:
        known = ", ".join(sorted(function for function in vars(cls) if not function.startswith("_")))
        raise CharRNNError(
            f"The cell calls xp.{name}, which is not available for sampling.", hint=f"Available functions: {known}."
        )


class TraceOps(metaclass=Functions):
    """The namespace `xp` of a traced step."""

    @staticmethod
    def sigmoid(x: Node) -> Node:
        return Node(x.trace, "sigmoid", (x,), x.width)

    @staticmethod
    def tanh(x: Node) -> Node:
        return Node(x.trace, "tanh", (x,), x.width)

    @staticmethod
    def exp(x: Node) -> Node:
        return Node(x.trace, np.exp, (x,), x.width)

    @staticmethod
    def log_sigmoid(x: Node) -> Node:
        return Node(x.trace, _log_sigmoid, (x,), x.width)

    @staticmethod
    def standardize(x: Node) -> Node:
        return Node(x.trace, _standardize, (x,), x.width)

    @staticmethod
    def relu(x: Node) -> Node:
        return x._combine(_maximum, x, 0)

    @staticmethod
    def maximum(x: Any, y: Any) -> Node:
        return (x if isinstance(x, Node) else y)._combine(_maximum, x, y)

    @staticmethod
    def concatenate(parts: Sequence[Node], axis: int) -> Node:
        assert axis == -1
        return Node(parts[0].trace, "whole", parts, sum(part.width for part in parts))

    @staticmethod
    def split(x: Node, parts: int | Sequence[int], axis: int) -> list[Node]:
        bounds = [x.width * n // parts for n in range(1, parts)] if isinstance(parts, int) else list(parts)
        edges = [0, *bounds, x.width]
        return [Node(x.trace, "part", (x, low, high), high - low) for low, high in itertools.pairwise(edges)]


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
        self.matrices = matrices
        self.calls: list[Call] = []
        trace: list[Node] = []
        zx = Node(trace, "input", (), cell.width(units))
        old = [Node(trace, "input", (), units) for _ in cell.state_fields]

        def dot(vector: Node, name: str) -> Node:
            return Node(trace, "dot", (vector, name), matrices[name].shape[1])

        new = cell.step(TraceOps, zx, cell.state(*old), dot, vectors)
        for node in (zx, *old):
            node.array = self._buffer(node.width)
        self.zx = zx.array
        self.state = cell.state(*(node.array for node in old))
        in_place = _in_place(trace, new, old)
        done: set[Node] = set()
        for node in trace:
            if node not in done:
                done |= self._compile(node, trace, in_place.get(node))
        self._store([(node.array, was.array, _root(node) in old) for node, was in zip(new, old, strict=True)])

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

    def _compile(self, node: Node, trace: list[Node], out: np.ndarray | None) -> set[Node]:
        """Add the calls that compute `node` (into `out` if given), and return all nodes that these calls compute."""
        operation, operands = node.operation, node.operands
        if operation == "input":
            return {node}
        if operation == "part":
            parent, low, high = operands
            node.array = parent.array[..., low:high]
            return {node}
        if operation in ACTIVATIONS:
            return self._activate(_neighbours(node, trace))
        node.array = self._buffer(node.width) if out is None else out
        if operation == "whole":
            low = 0
            for part in operands:
                self.calls.append((np.copyto, (node.array[..., low : low + part.width], part.array)))
                low += part.width
        elif operation == "dot":
            vector, name = operands
            self.calls.append((product(vector.array), (vector.array, self.matrices[name], node.array)))
        else:
            values = [operand.array if isinstance(operand, Node) else self._constant(operand) for operand in operands]
            self.calls.append((operation, (*values, node.array)))
        return {node}

    def _constant(self, value: Any) -> np.ndarray:
        return np.asarray(value, self.dtype)

    def _activate(self, nodes: list[Node]) -> set[Node]:
        """Add the calls that compute activations of neighbouring blocks of one array, all of them at once."""
        first, last = nodes[0].operands[0], nodes[-1].operands[0]
        if len(nodes) == 1:
            source = first.array
        else:
            parent = first.operands[0]
            source = parent.array[..., first.operands[1] : last.operands[2]]
        values = self._buffer(source.shape[-1])
        low = 0
        for node in nodes:
            node.array = values[..., low : low + node.width]
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
        return set(nodes)

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


def product(vector: np.ndarray) -> Callable[..., Any]:
    """Return the fastest matrix product for this left operand: np.dot has less overhead before BLAS than matmul."""
    return np.dot if vector.ndim == 1 else np.matmul


def _in_place(trace: list[Node], new: Sequence[Node], old: Sequence[Node]) -> dict[Node, np.ndarray]:
    """Return the nodes of the new state that can be computed in place of the old state, with their arrays."""
    kept = {_root(node) for node in new}
    return {
        node: was.array
        for node, was in zip(new, old, strict=True)
        if was not in kept and _last_use(trace, was) < trace.index(node)
    }


def _root(node: Node) -> Node:
    """Return the node that contains this one, or the node itself."""
    return _root(node.operands[0]) if node.operation == "part" else node


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
                by_start.setdefault(part.operands[1], other)
    group = [node]
    while (after := by_start.get(group[-1].operands[0].operands[2])) is not None:
        group.append(after)
    ends = {other.operands[0].operands[2]: other for other in by_start.values()}
    while (before := ends.get(group[0].operands[0].operands[1])) is not None:
        group.insert(0, before)
    return group
