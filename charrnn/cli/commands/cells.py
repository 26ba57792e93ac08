"""`charrnn cells`: lists the cells, or shows the equations of one."""

import sys
from typing import Annotated, Any

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import write_data
from charrnn.cli.views.table import aligned
from charrnn.cli.views.wrapping import columns_of, tell
from charrnn.config import STACKS, ModelConfig

_M = ModelConfig()


def cells(
    name: Annotated[
        str | None, typer.Argument(metavar="[CELL|STACK]", help="Show the equations and shapes of this cell or stack.")
    ] = None,
    cells: o.Cells = None,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    as_json: o.AsJson = False,
) -> None:
    """List the cells, or show the equations of one.

    The list shows the paper of each cell, the blocks of its input, the number of parameters of a network (for 65
    characters), and the fields of its state.
    """
    from charrnn.api import catalogue
    from charrnn.cells import CELLS

    if name is not None:
        catalogue.check_name(name)
    if name in STACKS:
        text = catalogue.equations(name)
        write_data(json_text([{"name": name, "equations": text}]) if as_json else f"{name}: {text}\n")
        return
    models = [ModelConfig(cell, layers, units, embedding, stack, attention) for cell in ([name] if name else CELLS)]
    facts = [catalogue.facts_of(model) for model in models]
    if as_json:
        write_data(json_text(facts))
    elif name is not None:
        write_data(catalogue.describe(models[0]))
    else:
        write_data(_table(facts))
        tell(f"Stacks: {', '.join(STACKS)}. To show a cell or a stack: charrnn cells NAME")


def _table(facts: list[dict[str, Any]]) -> str:
    rows = [("CELL", "PAPER", "BLOCKS", "PARAMETERS", "STATE")]
    for fact in facts:
        blocks, state = " ".join(fact["blocks"]), " ".join(fact["state"])
        rows.append((fact["name"], fact["paper"], blocks, _count(fact["parameters"]), state))
    return aligned(rows, "<<<><", columns_of(sys.stdout), wrapping=1)


def _count(parameters: int | None) -> str:
    return "-" if parameters is None else f"{parameters:,}"
