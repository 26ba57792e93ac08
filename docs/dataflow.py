"""What a cell's step computes, as boxes that read each other: made from its trace, never restated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from charrnn.cells import Cell, Matrix, Vector
from charrnn.cells.cell import add_bias
from charrnn.cells.trace import Node, Trace

# A width that many numbers divide: a step may split its blocks, and a matrix may be a share of a layer wide.
UNITS = 48
SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷"}
NAMES = {**SIGNS, "sigmoid": "σ", "log_sigmoid": "log σ", "maximum": "max", "standardize": "norm"}
NOT_COMMUTATIVE = ("−", "÷")

Blocks = Sequence[tuple[str, int]]


@dataclass(eq=False)
class Box:
    """What is `label` of `operands`; its columns are `blocks`, (letter, width).

    kind: state, input, matrix, parameter, function or arithmetic. Arithmetic with a parameter or a number is a box of
    one operand, which has the other one in its label.
    """

    kind: str
    label: str
    operands: Sequence["Array"]
    blocks: Blocks

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return sum(width for _, width in self.blocks)


class Piece(NamedTuple):
    """The columns of a box from `low` up to `high`."""

    box: Box
    low: int
    high: int

    @property
    def blocks(self) -> Blocks:
        """Return the blocks that these columns are."""
        blocks = self.box.blocks
        starts = (sum(width for _, width in blocks[:n]) for n in range(len(blocks)))
        return [block for block, start in zip(blocks, starts, strict=True) if self.low <= start < self.high]

    @property
    def letters(self) -> list[str]:
        """Return the letters of these blocks; none if they are the whole box."""
        return [letter for letter, _ in self.blocks] if self.high - self.low < self.box.width else []


class Array:
    """The columns of a node of the trace: pieces of boxes, side by side."""

    def __init__(self, pieces: Iterable[Piece]):
        self.pieces: list[Piece] = []
        for box, low, high in pieces:
            if self.pieces and self.pieces[-1].box is box and self.pieces[-1].high == low:
                low = self.pieces.pop().low
            self.pieces.append(Piece(box, low, high))

    @property
    def blocks(self) -> Blocks:
        """Return the blocks of all pieces."""
        return [block for piece in self.pieces for block in piece.blocks]

    def columns(self, start: int, end: int) -> "Array":
        """Return some of the columns."""
        found = []
        for box, low, high in self.pieces:
            found.append(Piece(box, max(low, low + start), min(high, low + end)))
            start, end = start - (high - low), end - (high - low)
        return Array(piece for piece in found if piece.low < piece.high)


def dataflow(cell: Cell) -> list[Box]:
    """Return the boxes of one step, each after those that it reads; the last are the new state, memories before h."""
    trace = Trace(_with_projection(cell), UNITS)
    arrays: dict[Node, Array] = {}
    for node in trace.nodes:
        arrays[node] = _array(node, cell, arrays)
    h, *memories = (
        Box("state", f"{name}′", [arrays[node]], arrays[node].blocks)
        for name, node in zip(cell.state_fields, trace.new, strict=True)
    )
    found: dict[Box, None] = {}
    for box in (*memories, h):
        _find(box, found)
    return sorted(found, key=[*memories, h].count)


def _with_projection(cell: Cell) -> Cell:
    """Return a cell whose step computes zx too, from x and what comes from below; W x + b is one product."""
    product = "W x + b" if cell.zx is add_bias else "W x"

    def step(xp: Any, x: Any, state: Any, dot: Any, w: Any) -> Any:
        if cell.blocks:
            x, below = xp.split(x, [UNITS], axis=-1)
            wx = dot(x, product)
            x = xp.concatenate([wx if cell.zx is add_bias else cell.zx(xp, wx, w), below], axis=-1)
        return cell.step(xp, x, state, dot, w)

    return replace(
        cell,
        step=step,
        blocks="x" if cell.blocks else "",
        scalars=0,
        matrices={**cell.matrices, product: Matrix("x", columns=cell.projected(UNITS) / UNITS)},
        vectors={"b": Vector(cell.bias), **cell.zx_vectors, **cell.vectors},
    )


def _array(node: Node, cell: Cell, arrays: dict[Node, Array]) -> Array:
    """Return the columns of a node from those of its operands; what only rearranges columns makes no box."""
    match node.operation:
        case "zx":
            inputs = [*([("x", "")] if cell.blocks else []), *((f"{name} below", name) for name in cell.raw)]
            return _joined(_box("input", label, (), [(letter, UNITS)]) for label, letter in inputs)
        case "state":
            return _box("state", node.name, (), [(node.name, UNITS)])
        case "vector" | "constant":
            return _box("parameter", _written(node), (), [("", node.width)])
        case "part":
            return arrays[node.operands[0]].columns(node.low, node.low + node.width)
        case "whole":
            return _joined(arrays[part] for part in node.operands)
        case "dot":
            return _box("matrix", node.name, [arrays[node.operands[0]]], _blocks(node, cell))
    return _computed(node, arrays)


def _box(kind: str, label: str, operands: Sequence[Array], blocks: Blocks) -> Array:
    """Return what a new box computes."""
    box = Box(kind, label, operands, blocks)
    return Array([Piece(box, 0, box.width)])


def _joined(arrays: Iterable[Array]) -> Array:
    return Array(piece for array in arrays for piece in array.pieces)


def _blocks(product: Node, cell: Cell) -> Blocks:
    """Return the blocks of a product; letters that occur more than once have a number."""
    if product.name not in cell.matrices:
        return [*((letter, UNITS) for letter in cell.blocks), *((f"s_{n}", 1) for n in range(cell.scalars))]
    letters = cell.matrices[product.name].blocks
    numbered = [
        letter if letters.count(letter) == 1 else f"{letter}_{letters[:n].count(letter)}"
        for n, letter in enumerate(letters)
    ]
    return [(letter, product.width // len(letters)) for letter in numbered]


def _computed(node: Node, arrays: dict[Node, Array]) -> Array:
    """Return the box of a function or of arithmetic; of two operands, a parameter or a number is in the label."""
    kind, label = "arithmetic" if node.operation in SIGNS else "function", NAMES.get(node.operation, node.operation)
    drawn = node.operands
    if len(drawn) == 2 and any(map(_written, drawn)):
        left, right = drawn
        if _written(right) and isinstance(left, Node):
            drawn, other, label = (left,), right, f"{label} {_written(right)}"
        else:
            drawn, other = (right,), left
            label = f"{_written(left)} {label}" if label in NOT_COMMUTATIVE else f"{label} {_written(left)}"
        kind = "parameter" if isinstance(other, Node) and other.operation == "vector" else kind
    widest = max(drawn, key=lambda operand: operand.width)
    return _box(kind, label, [arrays[operand] for operand in drawn], arrays[widest].blocks)


def _written(operand: Any) -> str:
    """Return what a label says for a parameter, a number, or an array of the cell's own; nothing for what has a box."""
    if isinstance(operand, Node):
        return {"vector": operand.name, "constant": "const"}.get(operand.operation, "")
    return f"{operand:g}"


def _find(box: Box, found: dict[Box, None]) -> None:
    """Add a box, and before it all that it reads."""
    for piece in (piece for operand in box.operands for piece in operand.pieces):
        if piece.box not in found:
            _find(piece.box, found)
    found[box] = None
