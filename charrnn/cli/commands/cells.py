"""`charrnn cells`: what cells there are, and what one of them computes."""

import inspect
from typing import Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import say, write_data
from charrnn.cli.views.table import aligned
from charrnn.config import STACKS, ModelConfig
from charrnn.errors import CharRNNError, did_you_mean
from charrnn.json_text import json_text

_M = ModelConfig()
# Characters of a text in English.
VOCAB = 65


def cells(
    name: Annotated[
        str | None, typer.Argument(metavar="[CELL|STACK]", help="Show one cell, or stack: equations and shapes.")
    ] = None,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    as_json: o.AsJson = False,
) -> None:
    """List the cells: paper, blocks of the input, parameters of a network (for 65 characters), what it remembers."""
    from charrnn.cells import CELLS
    from charrnn.network.stacks import EQUATIONS

    if name in STACKS:
        text = inspect.cleandoc(EQUATIONS[name])
        write_data(json_text([{"name": name, "equations": text}]) if as_json else f"{name}: {text}\n")
        return
    if name is not None and name not in CELLS:
        hint = did_you_mean(name, [*CELLS, *STACKS]) or "charrnn cells lists them."
        raise CharRNNError(f"There is no cell or stack {name!r}.", hint=hint)
    models = [ModelConfig(cell, layers, units, embedding, stack) for cell in ([name] if name else CELLS)]
    facts = [_facts(model) for model in models]
    if as_json:
        write_data(json_text(facts))
    elif name is not None:
        write_data(_one(models[0]))
    else:
        write_data(_table(facts))
        say(f"Stacks: {', '.join(STACKS)}. charrnn cells NAME shows a cell, or a stack.")


def _facts(model: ModelConfig) -> dict[str, Any]:
    from charrnn.cells import CELLS
    from charrnn.network.parameters import parameter_count

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


def _table(facts: list[dict[str, Any]]) -> str:
    rows = [("CELL", "PAPER", "BLOCKS", "PARAMETERS", "STATE")]
    for fact in facts:
        blocks, state = " ".join(fact["blocks"]), " ".join(fact["state"])
        rows.append((fact["name"], fact["paper"], blocks, _count(fact["parameters"]), state))
    return aligned(rows, "<<<><")


def _count(parameters: int | None) -> str:
    return "-" if parameters is None else f"{parameters:,}"


def _one(model: ModelConfig) -> str:
    """Return the equations of a cell, and what its highest layer holds."""
    from charrnn.cells import CELLS
    from charrnn.network.parameters import Role, parameters
    from charrnn.network.stacks import layers_of
    from charrnn.network.starts import Constant

    *_, cell = layers = layers_of(model)
    units = model.units
    equations = inspect.cleandoc(CELLS[model.cell].step.__doc__ or "")
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
        shapes.append((f"{name} (batch, {units})", "of the layer below, as it is"))
    width = max(len(shape) for shape, _ in shapes)
    lines = "".join(f"  {shape:<{width}}  {what}\n" for shape, what in shapes)
    return f"{cell.name}: {equations}\n\n{lines}"
