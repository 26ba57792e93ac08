"""Grid LSTM: a memory along depth beside the memory along time."""

from dataclasses import replace
from functools import cache
from typing import Any

from charrnn.cells import Array, ArrayNamespace, Cell, Matrix
from charrnn.cells.cell import Dot, Vectors
from charrnn.network.composite import own_vectors, part_vectors, state_type_of


@cache
def grid(cell: Cell) -> Cell:
    """Kalchbrenner et al. 2015, "Grid long short-term memory", in two dimensions: a memory along depth too.

    Each layer has two cells, and both read the h of both dimensions. One remembers along time. The other remembers
    along depth: its state comes from the layer below (in the lowest layer, from a projection of the input) and goes to
    the layer above.
    """
    fields = cell.state_fields
    # The state along depth is output and not read again: h, the output, is its first field.
    state_type = state_type_of([*fields, *(f"{name}_time" for name in fields)])

    def step(xp: ArrayNamespace, zx: Array, state: Any, dot: Dot, w: Vectors) -> Any:
        units = state.h.shape[-1]
        zx, *below = xp.split(zx, [cell.width(units) + n * units for n in range(len(fields))], axis=-1)
        time, depth, of_depth = cell.state(*state[len(fields) :]), cell.state(*below), own_vectors(w, "_depth")
        zx_depth = cell.zx(xp, dot(time.h, "W_depth"), of_depth)
        depth = cell.step(xp, zx_depth, depth, lambda vector, name: dot(vector, f"{name}_depth"), of_depth)
        return state_type(*depth, *cell.step(xp, zx, time, dot, w))

    matrices = {
        "W_depth": Matrix(cell.blocks, input=True),
        **{f"{name}_depth": matrix for name, matrix in cell.matrices.items()},
    }
    return replace(
        cell,
        name=f"grid of {cell.name}",
        paper="Kalchbrenner et al. 2015",
        step=step,
        state=state_type,
        matrices={**cell.matrices, **matrices},
        vectors={**cell.vectors, **part_vectors(cell, "_depth")},
        raw=fields,
    )
