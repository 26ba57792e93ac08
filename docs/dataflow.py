"""What a cell's step computes, as boxes that read each other: traced from its equations, never restated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from charrnn.cells import ArrayNamespace, Cell
from charrnn.cells.cell import add_bias

# A width that many numbers divide: a step may split its blocks, and a matrix may be a share of a layer wide.
UNITS = 48
NAMES = {"sigmoid": "σ", "log_sigmoid": "log σ", "maximum": "max", "standardize": "norm"}
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


def _operator(sign: str) -> tuple[Any, Any]:
    """Return what an array does with an operand on its right, and with one on its left."""
    return lambda a, b: _combined(sign, a, b), lambda b, a: _combined(sign, a, b)


class Array:
    """An array as a step sees it: pieces of boxes, side by side."""

    # NumPy arrays leave arithmetic with such an array to it.
    __array_ufunc__ = None
    __add__, __radd__ = _operator("+")
    __sub__, __rsub__ = _operator("−")
    __mul__, __rmul__ = _operator("×")
    __truediv__, __rtruediv__ = _operator("÷")

    def __neg__(self) -> "Array":
        return _combined("−", 0, self)

    def __init__(self, pieces: Iterable[Piece]):
        self.pieces: list[Piece] = []
        for box, low, high in pieces:
            if self.pieces and self.pieces[-1].box is box and self.pieces[-1].high == low:
                low = self.pieces.pop().low
            self.pieces.append(Piece(box, low, high))

    @property
    def shape(self) -> tuple[None, int]:
        """Return the shape that a step sees."""
        return None, sum(high - low for _, low, high in self.pieces)

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


def _array(kind: str, label: str, operands: Sequence[Array], blocks: Blocks) -> Array:
    """Return what a new box computes."""
    box = Box(kind, label, operands, blocks)
    return Array([Piece(box, 0, box.width)])


def _combined(sign: str, left: Any, right: Any) -> Array:
    a, b = _written(left), _written(right)
    if b:
        return _array(_kind(right), f"{sign} {b}", (left,), left.blocks)
    if a:
        return _array(_kind(left), f"{a} {sign}" if sign in NOT_COMMUTATIVE else f"{sign} {a}", (right,), right.blocks)
    return _array("arithmetic", sign, (left, right), max(left, right, key=lambda side: side.shape[1]).blocks)


def _kind(operand: Any) -> str:
    return "parameter" if isinstance(operand, Array) else "arithmetic"


def _written(operand: Any) -> str:
    """Return what a label says for a parameter, a number, or an array of the cell's own; nothing for what has a box."""
    if isinstance(operand, Array):
        box = operand.pieces[0].box
        return box.label if box.kind == "parameter" and not box.operands else ""
    return f"{operand:g}" if isinstance(operand, int | float) else "const"


class Operations:
    """The namespace `xp` of a traced step; what only rearranges columns makes no box."""

    def __getattr__(self, name: str) -> Any:
        if name not in vars(ArrayNamespace):
            raise AttributeError(f"A step may not call xp.{name}.")
        return lambda *arrays: _array("function", NAMES.get(name, name), arrays, arrays[0].blocks)

    @staticmethod
    def concatenate(arrays: Sequence[Array], axis: int) -> Array:
        return Array(piece for array in arrays for piece in array.pieces)

    @staticmethod
    def split(x: Array, parts: int | Sequence[int], axis: int) -> list[Array]:
        width = x.shape[1]
        ends = [width * n // parts for n in range(1, parts)] if isinstance(parts, int) else parts
        return [x.columns(start, end) for start, end in zip([0, *ends], [*ends, width], strict=True)]


def dataflow(cell: Cell) -> list[Box]:
    """Return the boxes of one step, each after those that it reads; the last are the new state, memories before h."""
    state = cell.state(*(_array("state", name, (), [(name, UNITS)]) for name in cell.state_fields))
    w = {name: _array("parameter", name, (), [("", UNITS)]) for name in ("b", *cell.zx_vectors, *cell.vectors)}

    def dot(vector: Array, name: str) -> Array:
        letters = cell.matrices[name].blocks
        width = cell.matrices[name].shape(UNITS)[1] // len(letters)
        return _array("matrix", name, (vector,), [(letter, width) for letter in _numbered(letters)])

    below = [_array("input", f"{name} below", (), [(name, UNITS)]) for name in cell.raw]
    zx = Operations.concatenate([*_projected(cell, w), *below], axis=-1)
    new = cell.step(Operations(), zx, state, dot, w)
    h, *memories = (Box("state", f"{n}′", [x], x.blocks) for n, x in zip(cell.state_fields, new, strict=True))
    found: dict[Box, None] = {}
    for box in (*memories, h):
        _find(box, found)
    return sorted(found, key=[*memories, h].count)


def _numbered(letters: str) -> list[str]:
    """Return letters, those with a number that are not alone."""
    return [
        letter if letters.count(letter) == 1 else f"{letter}_{letters[:n].count(letter)}"
        for n, letter in enumerate(letters)
    ]


def _projected(cell: Cell, w: dict[str, Array]) -> list[Array]:
    """Return the part of `zx` that is made of W x; W x + b is one box."""
    if not cell.blocks:
        return []
    x = _array("input", "x", (), [("", UNITS)])
    blocks = [(letter, UNITS) for letter in cell.blocks] + [(f"s_{n}", 1) for n in range(cell.scalars)]
    if cell.zx is add_bias:
        return [_array("matrix", "W x + b", (x,), blocks)]
    return [cell.zx(Operations(), _array("matrix", "W x", (x,), blocks), w)]


def _find(box: Box, found: dict[Box, None]) -> None:
    """Add a box, and before it all that it reads."""
    for piece in (piece for operand in box.operands for piece in operand.pieces):
        if piece.box not in found:
            _find(piece.box, found)
    found[box] = None
