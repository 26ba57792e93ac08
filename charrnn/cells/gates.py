"""The gates of a cell: the sigmoids in its trace that belong to one of its blocks."""

from collections.abc import Iterator
from typing import NamedTuple

from charrnn.cells.cell import Cell
from charrnn.cells.trace import Node

# Blocks that are no gates of units: those by which the mogrifier scales whole vectors.
_VECTORS = {"x", "h"}


class Gate(NamedTuple):
    """A gate of all units of a layer: columns of a node, `units` of them from `low` on.

    `name` is the letter of the block in the cell's equations; in a cell that is made of several, the suffix of the part
    follows it (f_depth, f_1).
    """

    name: str
    node: Node
    low: int


def gates(cell: Cell, nodes: list[Node], units: int) -> list[Gate]:
    """Return the gates in the trace of a cell's step; a sigmoid of anything but a single block has no name."""
    found: dict[str, Gate] = {}
    for node in nodes:
        if node.operation == "sigmoid":
            for low in range(0, node.width - units + 1, units):
                # In a cell that is made of several, the product with a recurrent matrix names the part, too.
                names = sorted({*_names(cell, node.operands[0], low, units)}, key=len)
                if len({name[0] for name in names} - _VECTORS) == 1:
                    found.setdefault(names[-1], Gate(names[-1], node, low))
    return list(found.values())


def _names(cell: Cell, node: Node, low: int, units: int) -> Iterator[str]:
    """Yield the names of the blocks of which some columns of a node are made, with anything that is added to them."""
    if node.operation in ("zx", "dot"):
        blocks = cell.blocks if node.operation == "zx" else cell.matrices[node.name].blocks
        number, before = divmod(low, units)
        is_block = node.operation == "zx" or node.width == len(blocks) * units
        if is_block and not before and number < len(blocks):
            part = node.name.partition("_")[2]
            yield blocks[number] + (f"_{part}" if part else "")
    elif node.operation == "part":
        yield from _names(cell, node.operands[0], node.low + low, units)
    elif node.operation == "whole":
        for part in node.operands:
            if 0 <= low < part.width:
                yield from _names(cell, part, low, units)
            low -= part.width
    elif node.operation in ("add", "subtract", "multiply", "standardize"):
        for operand in node.operands:
            # A vector has the width of what it is combined with.
            if isinstance(operand, Node) and operand.width == node.width:
                yield from _names(cell, operand, low, units)
