"""What cells and stacks there are, and what each of them computes."""

import inspect
from typing import Any

from charrnn.cells import CELLS, Vector
from charrnn.config import STACKS, ModelConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import parameter_count
from charrnn.network.stacks import EQUATIONS, layers_of

# Characters of a text in English.
VOCAB = 65


def check_name(name: str) -> None:
    """Raise CharRNNError unless there is a cell, or a stack, of this name."""
    if name not in CELLS and name not in STACKS:
        from difflib import get_close_matches

        close = get_close_matches(name, [*CELLS, *STACKS], n=1)
        hint = f"Did you mean {close[0]}?" if close else "charrnn cells lists them."
        raise CharRNNError(f"There is no cell or stack {name!r}.", hint=hint)


def equations(stack: str) -> str:
    """Return what a stack computes."""
    return inspect.cleandoc(EQUATIONS[stack])


def facts_of(model: ModelConfig) -> dict[str, Any]:
    cell = CELLS[model.cell]
    try:
        parameters = parameter_count(model, VOCAB)
    except CharRNNError:
        # A cell that cannot be stacked so.
        parameters = None
    return {
        "name": cell.name,
        "year": cell.year,
        "paper": cell.paper,
        "blocks": list(cell.blocks or cell.matrices["U"].blocks),
        "parameters": parameters,
        "state": list(cell.state_fields),
    }


def describe(model: ModelConfig) -> str:
    """Return the equations of a cell, and what its highest layer holds."""
    cell, units = layers_of(model)[-1], model.units
    equations = inspect.cleandoc(CELLS[model.cell].step.__doc__ or "")
    shapes = []
    if cell.blocks:
        shapes.append((f"W (inputs, {cell.projected(units)})", "input, blocks " + ", ".join(cell.blocks)))
    for name, matrix in cell.matrices.items():
        rows, columns = matrix.shape(units)
        shapes.append((f"{name} ({rows}, {columns})", "recurrent, blocks " + ", ".join(matrix.blocks)))
    vectors = {**cell.vectors, **cell.zx_vectors} | ({"b": Vector(cell.bias)} if cell.blocks else {})
    for name, (starts,) in vectors.items():
        shapes.append((f"{name} ({len(starts) * units},)", "starts at " + ", ".join(f"{value:g}" for value in starts)))
    for name in cell.state_fields:
        begins = f", begins at {cell.initial[name]:g}" if name in cell.initial else ""
        shapes.append((f"{name} (batch, {units})", "state" + (", the output" if name == "h" else begins)))
    for name in cell.raw:
        shapes.append((f"{name} (batch, {units})", "of the layer below, as it is"))
    width = max(len(shape) for shape, _ in shapes)
    lines = "".join(f"  {shape:<{width}}  {what}\n" for shape, what in shapes)
    return f"{cell.name}: {equations}\n\n{lines}"
