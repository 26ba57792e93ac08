"""Stacks: the ways in which layers are connected.

A stack says what each layer reads from the layer below at the same step, and from which layers at the previous step.
`plain` and `residual` run layer by layer, with the chosen cell in every layer. The others make a new cell of it, which
the same scan runs: one for each layer, with a memory along depth too (`grid`), or one for all layers together, as a
lower layer reads the higher layers of the previous step (`gated-feedback`).
"""

from charrnn.cells import CELLS, Cell
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.network.gated_feedback import candidates, gated_feedback
from charrnn.network.grid import grid


def layers_of(model: ModelConfig) -> tuple[Cell, ...]:
    """Return the cell of each layer, the lowest first; CharRNNError if this cell cannot be used in this stack."""
    cell = CELLS[model.cell]
    if not fits(cell, model.stack):
        fitting = ", ".join(name for name, other in CELLS.items() if fits(other, model.stack))
        raise CharRNNError(f"`stack='{model.stack}'` does not work with `cell='{cell.name}'`. It works with {fitting}.")
    if model.stack == "grid":
        return (grid(cell),) * model.layers
    if model.stack == "gated-feedback":
        return (gated_feedback(cell, model.layers),)
    if cell.lowest and model.layers == 1:
        raise CharRNNError(f"`cell='{cell.name}'` reads the layer below: it needs `layers=2` or more.")
    lowest = CELLS[cell.lowest] if cell.lowest else cell
    return (lowest, *(cell,) * (model.layers - 1))


def fits(cell: Cell, stack: str) -> bool:
    """Return whether a cell can be used in a stack: not if it has special needs itself, or no candidate to gate."""
    if stack == "grid":
        return not (cell.raw or cell.mask or cell.initial)
    if stack == "gated-feedback":
        # Without a gate or a bound, the outputs that layers exchange would grow at every step.
        return not (cell.raw or cell.mask or cell.identity) and len(candidates(cell)) == 1
    return True


EQUATIONS = {
    "plain": """El Hihi & Bengio 1995, "Hierarchical recurrent neural networks for long-term dependencies".

    Each layer reads the h of the layer below; the output reads the h of the highest layer.
    """,
    "residual": """Wu et al. 2016, "Google's neural machine translation system", after He et al. 2016.

    From the second layer on, the layer above reads x + h, where x is the input of this layer.
    """,
    "grid": grid.__doc__ or "",
    "gated-feedback": gated_feedback.__doc__ or "",
}
