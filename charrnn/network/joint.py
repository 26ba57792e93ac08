"""What cells that are made of several cells share: their joint state, and whose vectors are whose."""

from collections import namedtuple
from typing import Any

from charrnn.cells import Cell, Vector
from charrnn.cells.cell import Array, Vectors


def own_vectors(w: Vectors, suffix: str) -> dict[str, Array]:
    """Return the vectors of one part of a cell of several, under the names that its equations have for them."""
    return {name.removesuffix(suffix): vector for name, vector in w.items() if name.endswith(suffix)}


def part_vectors(cell: Cell, suffix: str) -> dict[str, Vector]:
    """Return all vectors of a cell, b too, that becomes a part of one."""
    vectors = {**cell.vectors, **cell.zx_vectors, "b": Vector(cell.bias)}
    return {name + suffix: vector for name, vector in vectors.items()}


def candidates(cell: Cell) -> list[tuple[str, int]]:
    """Return the matrices, and the places among their blocks, that make the candidate: g, or h of a cell without."""
    return [
        (name, place)
        for name, matrix in cell.matrices.items()
        for place, block in enumerate(matrix.blocks)
        if block in "gh"
    ]


def state_type_of(names: list[str]) -> Any:
    return namedtuple("State", names)  # type: ignore[misc]
