"""A cell's step as a list of operations: its equations run once on `Node`s, which compute nothing and record."""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from charrnn.cells.cell import ArrayNamespace, Cell
from charrnn.errors import CharRNNError

# The functions that a step may call.
ALLOWED = sorted(name for name in vars(ArrayNamespace) if not name.startswith("_"))


class Node:
    """An array that a step reads or computes: (batch, width), or (width,) if it is made of vectors and constants alone.

    operation: "zx", or "state", "vector" or "constant", which are read; "dot", the product with a recurrent matrix;
    "part", columns of another node; "whole", nodes side by side; "add", "subtract", "multiply" or "divide"; or the name
    of a function of `ArrayNamespace`. operands: nodes, and numbers in arithmetic and in `maximum`. name: the field, the
    vector or the matrix. low: the first column of a part. value: what a constant is, (width,).
    """

    # With this, NumPy arrays let the node do arithmetic between an array and a node.
    __array_ufunc__ = None

    def __init__(
        self,
        trace: list["Node"],
        operation: str,
        operands: Sequence[Any],
        width: int,
        name: str = "",
        low: int = 0,
        value: Any = None,
    ):
        self.trace, self.operation, self.operands, self.width = trace, operation, tuple(operands), width
        self.name, self.low, self.value = name, low, value
        batched = operation in ("zx", "state") or any(len(x.shape) == 2 for x in operands if isinstance(x, Node))
        self.shape: tuple[int | None, ...] = (None, width) if batched else (width,)
        trace.append(self)

    def __add__(self, other: Any) -> "Node":
        return _combined("add", self, other)

    def __radd__(self, other: Any) -> "Node":
        return _combined("add", other, self)

    def __sub__(self, other: Any) -> "Node":
        return _combined("subtract", self, other)

    def __rsub__(self, other: Any) -> "Node":
        return _combined("subtract", other, self)

    def __mul__(self, other: Any) -> "Node":
        return _combined("multiply", self, other)

    def __rmul__(self, other: Any) -> "Node":
        return _combined("multiply", other, self)

    def __truediv__(self, other: Any) -> "Node":
        return _combined("divide", self, other)

    def __rtruediv__(self, other: Any) -> "Node":
        return _combined("divide", other, self)

    def __neg__(self) -> "Node":
        return _combined("multiply", self, -1)


def _combined(operation: str, *operands: Any) -> Node:
    """Return the node of an operation; an array among the operands becomes a constant."""
    trace = next((operand.trace for operand in operands if isinstance(operand, Node)), None)
    if trace is None:
        raise TypeError(f"{operation} needs an array")
    found = [
        # A constant may be a row, (1, width).
        Node(trace, "constant", (), operand.size, value=operand.reshape(-1))
        if getattr(operand, "shape", ()) and not isinstance(operand, Node)
        else operand
        for operand in operands
    ]
    widths = [operand.width for operand in found if isinstance(operand, Node)]
    if len({*widths} - {1}) > 1:
        raise ValueError(f"{operation}: arrays of {widths[0]} and {widths[1]} columns cannot be broadcast together")
    return Node(trace, operation, found, max(widths))


class Functions:
    """The namespace `xp` of a traced step."""

    def __getattr__(self, name: str) -> Any:
        if name not in ALLOWED:
            raise CharRNNError(
                f"The cell calls xp.{name}, which is not available to the step of a cell.",
                hint=f"Available functions: {', '.join(ALLOWED)}.",
            )

        def function(*operands: Any) -> Node:
            # This does nothing, except that Python checks the number of operands.
            getattr(ArrayNamespace, name)(self, *operands)
            return _combined(name, *operands)

        return function

    @staticmethod
    def concatenate(parts: Sequence[Node], axis: int) -> Node:
        _check_axis(axis)
        if len({len(part.shape) for part in parts}) > 1:
            raise TypeError("concatenate needs arrays of one rank: a vector, (width,), is not (batch, width)")
        return Node(parts[0].trace, "whole", parts, sum(part.width for part in parts))

    @staticmethod
    def split(x: Node, parts: int | Sequence[int], axis: int) -> list[Node]:
        _check_axis(axis)
        bounds = [x.width * n // parts for n in range(1, parts)] if isinstance(parts, int) else list(parts)
        edges = [0, *bounds, x.width]
        return [Node(x.trace, "part", (x,), high - low, low=low) for low, high in itertools.pairwise(edges)]


def _check_axis(axis: int) -> None:
    # 1 is the last axis too.
    if axis not in (-1, 1):
        raise ValueError(f"axis is {axis}, but must be -1")


def _shape(*sizes: int | None) -> str:
    return f"({', '.join('batch' if size is None else str(size) for size in sizes)}{',' * (len(sizes) == 1)})"


class Trace:
    """A step of a layer of `units` units: its `nodes`, each after its operands.

    zx: the node of zx; state and new: the nodes of the old and of the new state, in the cell's type; vectors: the nodes
    of its vectors by name; widths: of the fields of the state, which are `units` wide, except `others`. `more`: how
    many columns zx has beyond `cell.width`, the masks of dropout in a cell of several layers. Raises CharRNNError for
    a function that a step may not call; a step with another mistake can raise anything.
    """

    def __init__(self, cell: Cell, units: int, others: Mapping[str, int] = MappingProxyType({}), more: int = 0):
        self.nodes: list[Node] = []
        self.zx = Node(self.nodes, "zx", (), cell.width(units) + more)
        self.widths = {field: others.get(field, units) for field in cell.state_fields}
        self.state = cell.state(*(Node(self.nodes, "state", (), width, field) for field, width in self.widths.items()))
        self.vectors = {
            name: Node(self.nodes, "vector", (), vector.width(units), name) for name, vector in cell.vectors.items()
        }

        def dot(vector: Node, name: str) -> Node:
            rows, columns = cell.matrices[name].shape(units)
            if vector.shape != (None, rows):
                raise ValueError(f"the product with {name} needs {_shape(None, rows)}, not {_shape(*vector.shape)}")
            return Node(self.nodes, "dot", (vector,), columns, name)

        self.new = cell.step(Functions(), self.zx, self.state, dot, self.vectors)
        for field, node in zip(cell.state_fields, self.new, strict=True):
            if not isinstance(node, Node):
                raise TypeError(f"the new {field} is not an array")
            if node.shape != (None, self.widths[field]):
                expected = _shape(None, self.widths[field])
                raise ValueError(f"the new {field} must be {expected}, not {_shape(*node.shape)}")
