"""A cell's step and its derivative as expressions, made from the trace of its equations."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from charrnn.cells import Cell
from charrnn.cells.cell import EPSILON
from charrnn.cells.trace import Trace
from charrnn.compiled.graph import Array, Graph, Kind, Node

# Expressions side by side, each with its width.
Pieces = Sequence[tuple[Node, int]]


@dataclass(eq=False)
class Product:
    """A product with a recurrent matrix, (rows, columns), or with its transpose; `result` is where its value will be.

    operand: what is multiplied. `gradient` of a product forwards is the leaf of the gradient of its value.
    """

    matrix: str
    transposed: bool
    operand: Node
    result: Array
    rows: int
    columns: int


@dataclass
class Target:
    """Columns of an array and what is stored there.

    following: in the row of the next step (forwards, the later one; backwards, the earlier one). total: the value is
    added up over rows and steps.
    """

    array: Array
    offset: int
    width: int
    node: Node
    following: bool = False
    total: bool = False


@dataclass
class Step:
    """A step forwards: its products in order, and its new state; and what they read.

    keep: (B, 1), 0 where a document begins and the state returns to its initial value, otherwise 1; None if documents
    never begin within a window.
    """

    cell: Cell
    units: int
    graph: Graph
    zx: Array
    keep: Array | None
    states: dict[str, Array]
    vectors: dict[str, Array]
    products: list[Product] = field(default_factory=list)
    # The first node after each product: in the backward pass, all readers of the product have a higher number.
    product_at: dict[int, Product] = field(default_factory=dict)
    new: Sequence[Node] = ()


def step_of(cell: Cell, units: int, resets: bool, traced: Trace | None = None) -> Step:
    """Return the step of a layer as expressions; `traced` is its trace if there is one already."""
    traced, graph = traced or Trace(cell, units), Graph()
    step = Step(
        cell,
        units,
        graph,
        Array("zx", traced.zx.width, Kind.STEP),
        Array("keep", 1, Kind.STEP) if resets else None,
        {name: Array(f"s_{name}", width, Kind.STATE) for name, width in traced.widths.items()},
        {name: Array(f"w_{name}", node.width, Kind.ROW) for name, node in traced.vectors.items()},
    )
    values: dict[Any, Node] = {}
    for place, node in enumerate(traced.nodes):
        operands = [values[x] if hasattr(x, "operation") else graph.const(x) for x in node.operands]
        values[node] = _lowered(step, node, operands, place)
    step.new = [values[node] for node in traced.new]
    return step


def _lowered(step: Step, node: Any, operands: Sequence[Node], place: int) -> Node:
    """Return the expression of a traced operation."""
    graph = step.graph
    match node.operation:
        case "zx":
            return graph.leaf(step.zx)
        case "state":
            return _before(step, node.name)
        case "vector":
            return graph.leaf(step.vectors[node.name])
        case "constant":
            return graph.leaf(Array(f"constant{place}", node.width, Kind.ROW, node.value))
        case "dot":
            product = Product(
                node.name,
                False,
                operands[0],
                Array(f"product{len(step.products)}", node.width, Kind.SCRATCH),
                operands[0].width or 1,
                node.width,
            )
            step.products.append(product)
            result = graph.leaf(product.result)
            step.product_at[result.number] = product
            return result
        case "part":
            return operands[0].columns(node.low, node.low + node.width)
        case "whole":
            return graph.cat(operands)
        case "relu":
            return graph.apply("maximum", operands[0], 0.0)
        case "standardize":
            return _standardized(graph, operands[0])
        case operation:
            return graph.apply(operation, *operands)


def _before(step: Step, name: str) -> Node:
    """Return a field of the state that the step reads: the initial one where a document begins."""
    state = step.graph.leaf(step.states[name])
    if step.keep is None:
        return state
    keep, first = step.graph.leaf(step.keep), step.cell.initial.get(name, 0.0)
    return keep * state + (1.0 - keep) * first if first else keep * state


def _standardized(graph: Graph, x: Node) -> Node:
    share = 1.0 / (x.width or 1)
    centred = x - graph.rowsum(x) * share
    variance = graph.rowsum(centred * centred) * share
    return centred * graph.apply("rsqrt", variance + EPSILON)


@dataclass
class Derivative:
    """A step backwards: its products in order, what it stores, and what each product forwards contributes.

    factors: for each product forwards, the array whose columns are the gradient of its value, and the first column.
    """

    products: list[Product]
    targets: list[Target]
    incoming: dict[str, Array]
    d_states: dict[str, Array]
    d_zx: Array
    d_vectors: dict[str, Array]
    factors: list[tuple[Array, int]]


def derivative_of(step: Step, emitted: Sequence[str]) -> Derivative:
    """Return the derivative of a step, whose outputs are the fields `emitted` of the new state."""
    return _Differentiation(step).derivative(emitted)


class _Differentiation:
    """Gives every node of a step its gradient, the last first."""

    def __init__(self, step: Step):
        self.step, self.graph = step, step.graph
        self.d: dict[Node, Node] = {}

    def derivative(self, emitted: Sequence[str]) -> Derivative:
        step, graph, units = self.step, self.graph, self.step.units
        incoming = {name: Array(f"d_out_{name}", units, Kind.STEP) for name in emitted}
        d_states = {name: Array(f"d_{name}", units, Kind.FLIP) for name in step.states}
        nodes = sorted(graph.nodes.values(), key=lambda node: -node.number)
        for name, node in zip(step.states, step.new, strict=True):
            arriving = graph.leaf(d_states[name])
            if name in incoming:
                arriving = arriving + graph.leaf(incoming[name])
            self.give(node, arriving, units)
        backward: list[Product] = []
        gradients: list[Pieces] = []
        for node in nodes:
            product = step.product_at.get(node.number)
            if product is not None:
                self._through(product, backward, gradients)
            elif node in self.d and node.op not in ("leaf", "const", "cat"):
                self._pass_on(node, self.d[node])
        d_zx = Array("d_zx", step.zx.width, Kind.STEP)
        pieces = self.of_array(step.zx)
        targets = _side_by_side(d_zx, pieces)
        factors: list[tuple[Array, int]] = []
        for place, (product, parts) in enumerate(zip(backward, gradients, strict=True)):
            array, offset = d_zx, _place_in(pieces, parts)
            if offset is None:
                array, offset = Array(f"d_product{len(backward) - 1 - place}", product.rows, Kind.STEP), 0
                targets += _side_by_side(array, parts)
            product.operand = graph.leaf(array, offset, product.rows)
            factors.append((array, offset))
        for name, state in step.states.items():
            targets += [
                Target(d_states[name], t.offset, t.width, t.node, following=True)
                for t in _side_by_side(d_states[name], self.of_array(state))
            ]
        d_vectors = {name: Array(f"d_w_{name}", vector.width, Kind.SUM) for name, vector in step.vectors.items()}
        for name, vector in step.vectors.items():
            targets += [
                Target(d_vectors[name], t.offset, t.width, t.node, total=True)
                for t in _side_by_side(d_vectors[name], self.of_array(vector))
            ]
        return Derivative(backward, targets, incoming, d_states, d_zx, d_vectors, factors[::-1])

    def give(self, node: Node, value: Node, width: int | None) -> None:
        """Add `value`, of `width` columns, to the gradient of a node."""
        if node.op == "const":
            return
        if node.width == 1 and width is not None and width > 1:
            # One number for each row was read in every column.
            value = self.graph.rowsum(value) if value.width == width else value * float(width)
        if node.op == "cat":
            low = 0
            for part in node.args:
                self.give(part, value.columns(low, low + part.width), part.width)
                low += part.width
        else:
            self.d[node] = self.d[node] + value if node in self.d else value

    def _through(self, product: Product, backward: list[Product], gradients: list[Pieces]) -> None:
        """Send the gradient of a product back through the transposed matrix."""
        parts = self.of_array(product.result)
        result = Array(f"back{len(backward)}", product.rows, Kind.SCRATCH)
        # Its operand is known after all gradients are.
        backward.append(Product(product.matrix, True, self.graph.const(0), result, product.columns, product.rows))
        gradients.append(parts)
        if any(part.op != "const" for part, _ in parts):
            self.give(product.operand, self.graph.leaf(result), product.rows)

    def of_array(self, array: Array) -> Pieces:
        """Return the gradient of an array, in pieces side by side: 0 where nothing was given."""
        views = [node for node in self.d if node.op == "leaf" and node.args[0] is array]
        edges = {0, array.width}
        for view in views:
            edges |= {view.args[1], view.args[1] + (view.width or 0)}
        pieces = []
        for low, high in itertools.pairwise(sorted(edges)):
            total = None
            for view in views:
                start = view.args[1]
                if start <= low and high <= start + (view.width or 0):
                    part = self.d[view].columns(low - start, high - start)
                    total = part if total is None else total + part
            pieces.append((self.graph.const(0) if total is None else total, high - low))
        return pieces

    def _pass_on(self, node: Node, dy: Node) -> None:
        """Give the operands of a node their gradients from its own."""
        x, y, width, graph = node.args, node, node.width, self.graph
        match node.op:
            case "add":
                self.give(x[0], dy, width)
                self.give(x[1], dy, width)
            case "subtract":
                self.give(x[0], dy, width)
                self.give(x[1], dy * -1.0, width)
            case "multiply":
                self.give(x[0], dy * x[1], width)
                self.give(x[1], dy * x[0], width)
            case "divide":
                self.give(x[0], dy / x[1], width)
                self.give(x[1], dy * -1.0 * y / x[1], width)
            case "maximum":
                # With two equal numbers the first has the gradient; relu has none at 0.
                first = graph.apply("greater" if x[1].op == "const" else "not_less", *x)
                self.give(x[0], dy * first, width)
                self.give(x[1], dy * (1.0 - first), width)
            case "sigmoid":
                self.give(x[0], dy * (y * (1.0 - y)), width)
            case "tanh":
                self.give(x[0], dy * (1.0 - y * y), width)
            case "exp":
                self.give(x[0], dy * y, width)
            case "log_sigmoid":
                self.give(x[0], dy * (1.0 - graph.apply("exp", y)), width)
            case "rsqrt":
                self.give(x[0], dy * (y * y * y) * -0.5, width)
            case "rowsum":
                # The same number in every column.
                self.give(x[0], dy, x[0].width)
            case operation:
                raise NotImplementedError(operation)


def _side_by_side(array: Array, pieces: Pieces) -> list[Target]:
    """Return the targets that fill an array with pieces."""
    starts = itertools.accumulate((width for _, width in pieces), initial=0)
    return [Target(array, start, width, node) for start, (node, width) in zip(starts, pieces, strict=False)]


def _place_in(pieces: Pieces, parts: Pieces) -> int | None:
    """Return the column of `pieces` from which on they are `parts`; None if they are nowhere."""
    starts = itertools.accumulate((width for _, width in pieces), initial=0)
    for place, start in zip(range(len(pieces)), starts, strict=False):
        if list(pieces[place : place + len(parts)]) == list(parts):
            return start
    return None
