"""Common code of cells that are made of several cells: their joint state, and the names of each part's vectors.

A part's vectors have the names of its own equations and a suffix: "b_depth" of a grid, "b_1" of the second layer.
"""

from collections import namedtuple
from typing import Any

from charrnn.cells import Cell, Vector
from charrnn.cells.cell import Array, Vectors


def own_vectors(w: Vectors, suffix: str) -> dict[str, Array]:
    """Return the vectors of the part with this suffix, by the names in its own equations."""
    return {name.removesuffix(suffix): vector for name, vector in w.items() if name.endswith(suffix)}


def part_vectors(cell: Cell, suffix: str) -> dict[str, Vector]:
    """Return all vectors of a cell, including b, by the names that they have in the part with this suffix."""
    vectors = {**cell.vectors, **cell.zx_vectors, "b": Vector(cell.bias)}
    return {name + suffix: vector for name, vector in vectors.items()}


def state_type_of(names: list[str]) -> Any:
    """Return a type of states with these fields; the first is the output."""
    return namedtuple("State", names)  # type: ignore[misc]
