"""The cells and stacks that can be used, and the equations of each."""

import inspect
from typing import Any

from charrnn.cells import CELLS
from charrnn.config import STACKS, ModelConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.network.first_values import Constant
from charrnn.network.parameters import Role, parameter_count, parameters
from charrnn.network.stacks import EQUATIONS, layers_of

# The number of different characters in an English text.
VOCAB = 65


def check_name(name: str) -> None:
    """Raise CharRNNError unless there is a cell, or a stack, of this name."""
    if name not in CELLS and name not in STACKS:
        hint = did_you_mean(name, [*CELLS, *STACKS]) or "charrnn cells lists all of them."
        raise CharRNNError(f"There is no cell or stack {name!r}.", hint=hint)


def equations(name: str) -> str:
    """Return the equations of a cell, or of a stack."""
    return inspect.cleandoc(EQUATIONS[name] if name in STACKS else CELLS[name].step.__doc__ or "")


def facts_of(model: ModelConfig) -> dict[str, Any]:
    cell = CELLS[model.cell]
    try:
        parameters = parameter_count(model, VOCAB)
    except CharRNNError:
        # The cell cannot be stacked in this way.
        parameters = None
    return {
        "name": cell.name,
        "year": cell.year,
        "paper": cell.paper,
        "blocks": list(cell.blocks or cell.matrices["U"].blocks),
        "parameters": parameters,
        "state": list(cell.state_fields),
        "equations": equations(model.cell),
    }


def describe(model: ModelConfig) -> str:
    """Return the equations of a cell, and the arrays of its highest layer."""
    *_, cell = layers = layers_of(model)
    units = model.units
    shapes = []
    for parameter in parameters(model, VOCAB):
        if parameter.layer != len(layers) - 1:
            continue
        name, shape = parameter.symbol, parameter.shape
        if parameter.role is Role.KERNEL:
            shapes.append((f"{name} (inputs, {shape[1]})", "input, blocks " + ", ".join(cell.blocks)))
        elif parameter.role is Role.RECURRENT:
            shapes.append((f"{name} {shape}", "recurrent, blocks " + ", ".join(cell.matrices[name].blocks)))
        elif isinstance(parameter.start, Constant):
            values = ", ".join(f"{value:g}" for value in parameter.start.values)
            shapes.append((f"{name} {shape}", f"starts at {values}"))
    for name in cell.state_fields:
        begins = f", begins at {cell.initial[name]:g}" if name in cell.initial else ""
        shapes.append((f"{name} (batch, {units})", "state" + (", the output" if name == "h" else begins)))
    for name in cell.raw:
        shapes.append((f"{name} (batch, {units})", "of the layer below, unchanged"))
    width = max(len(shape) for shape, _ in shapes)
    lines = "".join(f"  {shape:<{width}}  {what}\n" for shape, what in shapes)
    return f"{cell.name}: {equations(model.cell)}\n\n{lines}"
