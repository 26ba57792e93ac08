"""Expressions: what a step computes, as a graph in which equal expressions are one node.

Slices and concatenations are pushed down to the leaves. So every elementwise node is computed column by column from the
same column of its operands, and the code for it is one loop.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """How an array is laid out in memory, with T steps, B rows, and `width` columns."""

    STEP = "(T, B, width): a row for each row of the batch, at each step"
    STATE = "(T + 1, B, width): the state before each step, and the last one"
    FLIP = "(2, B, width): the gradient of the state, of this step and of the next in turn"
    SCRATCH = "(B, width): of one step only"
    ROW = "(width): the same for all rows and steps"
    SUM = "(width): a sum over all rows and steps"


@dataclass(eq=False)
class Array:
    """An array in memory. `value` is what it holds if that is known when the code is made, (width,)."""

    name: str
    width: int
    kind: Kind
    value: Any = None


@dataclass(eq=False)
class Node:
    """An expression, (B, width). A width of 1 is one number for each row; of None, one number for all.

    op: "leaf", columns of an array, its args (array, first column); "const", its args a number; "cat", nodes side by
    side; "rowsum", the sum over the columns; otherwise an elementwise operation. `number` counts the nodes as they are
    made: a node has a higher number than its operands.
    """

    graph: "Graph"
    op: str
    args: tuple[Any, ...]
    width: int | None
    number: int

    def __hash__(self) -> int:
        return self.number

    @property
    def operands(self) -> tuple["Node", ...]:
        return () if self.op in ("leaf", "const") else self.args

    def __add__(self, other: "Node | float") -> "Node":
        return self.graph.apply("add", self, other)

    def __sub__(self, other: "Node | float") -> "Node":
        return self.graph.apply("subtract", self, other)

    def __rsub__(self, other: float) -> "Node":
        return self.graph.apply("subtract", other, self)

    def __mul__(self, other: "Node | float") -> "Node":
        return self.graph.apply("multiply", self, other)

    def __truediv__(self, other: "Node | float") -> "Node":
        return self.graph.apply("divide", self, other)

    def columns(self, low: int, high: int) -> "Node":
        """Return some columns; a number for each row, or for all, is its own part."""
        if self.width in (None, 1) or (low, high) == (0, self.width):
            return self
        if self.op == "leaf":
            array, offset = self.args
            return self.graph.leaf(array, offset + low, high - low)
        if self.op == "cat":
            parts = zip(self.args, itertools.accumulate([0, *(part.width for part in self.args)]), strict=False)
            return self.graph.cat(
                [
                    part.columns(max(low, start) - start, min(high, start + part.width) - start)
                    for part, start in parts
                    if start < high and low < start + part.width
                ]
            )
        return self.graph.apply(self.op, *(x.columns(low, high) for x in self.args))


@dataclass
class Graph:
    """All nodes of a step and of its derivative."""

    nodes: dict[Any, Node] = field(default_factory=dict)

    def _make(self, op: str, args: tuple[Any, ...], width: int | None) -> Node:
        key = (op, args, width)
        if key not in self.nodes:
            self.nodes[key] = Node(self, op, args, width, len(self.nodes))
        return self.nodes[key]

    def const(self, value: float) -> Node:
        """Return a number."""
        return self._make("const", (float(value),), None)

    def leaf(self, array: Array, offset: int = 0, width: int | None = None) -> Node:
        """Return columns of an array, by default all."""
        return self._make("leaf", (array, offset), array.width if width is None else width)

    def cat(self, parts: Sequence[Node]) -> Node:
        """Return nodes side by side; neighbours in memory become one leaf."""
        flat = [piece for part in parts for piece in (part.args if part.op == "cat" else (part,))]
        merged = [flat[0]]
        for part in flat[1:]:
            last = merged[-1]
            adjacent = last.op == part.op == "leaf" and last.args == (part.args[0], part.args[1] - (last.width or 0))
            if adjacent:
                array, offset = last.args
                merged[-1] = self.leaf(array, offset, (last.width or 0) + (part.width or 0))
            else:
                merged.append(part)
        return merged[0] if len(merged) == 1 else self._make("cat", tuple(merged), sum(p.width or 0 for p in merged))

    def rowsum(self, x: Node) -> Node:
        """Return the sum over the columns of x."""
        if x.op == "cat":
            first, *others = (self.rowsum(part) for part in x.args)
            return sum(others, first)
        return self._make("rowsum", (x,), 1)

    def apply(self, op: str, *operands: "Node | float") -> Node:
        """Return an elementwise operation, simplified."""
        x = tuple(operand if isinstance(operand, Node) else self.const(operand) for operand in operands)
        for operand in x:
            if operand.op == "cat":
                edges = itertools.accumulate((part.width for part in operand.args), initial=0)
                return self.cat(
                    [self.apply(op, *(y.columns(low, high) for y in x)) for low, high in itertools.pairwise(edges)]
                )
        numbers = [operand.args[0] if operand.op == "const" else None for operand in x]
        match op, numbers:
            case ("add", [0.0, None]) | ("multiply", [1.0, None]):
                return x[1]
            case ("add" | "subtract", [None, 0.0]) | ("multiply" | "divide", [None, 1.0]):
                return x[0]
        return self._make(op, x, max((y.width for y in x if y.width), default=None))


def reachable(roots: Iterable[Node], stop: Any = ()) -> set[Node]:
    """Return the nodes on which `roots` depend, and these; not beyond the nodes in `stop`."""
    seen: set[Node] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            if node not in stop:
                pending.extend(node.operands)
    return seen


def users_of(nodes: Iterable[Node]) -> Callable[[Node], set[Node]]:
    """Return a function that returns which of `nodes` have a node as an operand."""
    users: dict[Node, set[Node]] = {}
    for node in nodes:
        for operand in node.operands:
            users.setdefault(operand, set()).add(node)
    return lambda node: users.get(node, set())
