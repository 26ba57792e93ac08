"""`charrnn cells`: what cells there are, and what one of them computes."""

import inspect
import json
from typing import Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import write_data
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError

_M = ModelConfig()
# Characters of a text in English.
VOCAB = 65


def cells(
    name: Annotated[str | None, typer.Argument(metavar="[CELL]", help="Show one cell: equations and shapes.")] = None,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    as_json: o.AsJson = False,
) -> None:
    """List the cells: paper, blocks of the input, parameters of a network (for 65 characters), what it remembers."""
    from charrnn.cells import CELLS

    if name is not None and name not in CELLS:
        raise CharRNNError(f"There is no cell {name!r}.", hint="charrnn cells lists them.")
    facts = [_facts(ModelConfig(cell, layers, units, embedding)) for cell in ([name] if name else CELLS)]
    if as_json:
        write_data(json.dumps(facts) + "\n")
    elif name is not None:
        write_data(_one(facts[0], units))
    else:
        write_data(_table(facts))


def _facts(model: ModelConfig) -> dict[str, Any]:
    from charrnn.cells import CELLS
    from charrnn.network import parameter_count

    cell = CELLS[model.cell]
    return {
        "name": cell.name,
        "year": cell.year,
        "paper": cell.paper,
        "blocks": list(cell.blocks),
        "parameters": parameter_count(model, VOCAB),
        "state": list(cell.state_fields),
    }


def _table(facts: list[dict[str, Any]]) -> str:
    rows = [("CELL", "PAPER", "BLOCKS", "PARAMETERS", "STATE")]
    for fact in facts:
        blocks, state = " ".join(fact["blocks"]), " ".join(fact["state"])
        rows.append((fact["name"], fact["paper"], blocks, f"{fact['parameters']:,}", state))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "".join(
        f"{name:<{widths[0]}}  {paper:<{widths[1]}}  {blocks:<{widths[2]}}  {count:>{widths[3]}}  {state}\n"
        for name, paper, blocks, count, state in rows
    )


def _one(fact: dict[str, Any], units: int) -> str:
    from charrnn.cells import CELLS

    cell = CELLS[fact["name"]]
    equations = inspect.cleandoc(cell.step.__doc__ or "")
    shapes = [(f"W (inputs, {cell.gates * units})", "input, blocks " + ", ".join(cell.blocks))]
    shapes += [(f"{name} ({units}, {blocks * units})", "recurrent") for name, blocks in cell.matrices.items()]
    shapes += [
        (f"{name} ({vector.blocks * units},)", f"starts at {vector.start:g}") for name, vector in cell.vectors.items()
    ]
    shapes += [(f"b ({cell.gates * units},)", "starts at " + ", ".join(f"{value:g}" for value in cell.bias))]
    shapes += [
        (f"{name} (batch, {units})", "state" + (", the output" if name == "h" else "")) for name in fact["state"]
    ]
    width = max(len(shape) for shape, _ in shapes)
    lines = "".join(f"  {shape:<{width}}  {what}\n" for shape, what in shapes)
    return f"{cell.name}: {equations}\n\n{lines}"
