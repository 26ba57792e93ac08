"""`charrnn gradcheck`: whether the gradients of training are right."""

from typing import Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import write_data
from charrnn.config import ModelConfig
from charrnn.json_text import json_text

ALL = "all"
UNITS = 3


def gradcheck(
    cell: Annotated[str, typer.Option("--cell", help=f"A cell, or {ALL} of them.")] = ALL,
    layers: o.Layers = 2,
    units: o.Units = UNITS,
    embedding: o.Embedding = None,
    stack: o.Stack = ModelConfig.stack,
    seed: o.Seed = 0,
    as_json: o.AsJson = False,
) -> None:
    """Compare the gradients of training with central differences, in float64. Exit 1 if any is wrong.

    The error of a parameter is the worst |analytic - numeric| / max(|analytic|, |numeric|) over its elements, where an
    element counts as at least 1/10,000 of the largest, and as at least 0.00001, below which the differences are noise.
    """
    from charrnn.cells import CELLS
    from charrnn.network.stacks import fits
    from charrnn.training.backends import start as backend

    names = [name for name in CELLS if fits(CELLS[name], stack)] if cell == ALL else [cell]
    models = [ModelConfig(name, layers, units, embedding, stack) for name in names]
    backend.start(1, float64=True)
    from charrnn.training.gradcheck import LIMIT, check

    facts: list[dict[str, Any]] = []
    for model in models:
        for name, shape, error in check(model, seed):
            facts.append({"cell": model.cell, "parameter": name, "shape": list(shape), "error": error})
            if not as_json:
                verdict = "ok" if error < LIMIT else "WRONG"
                write_data(f"{model.cell:<26}{name:<18}{'x'.join(map(str, shape)):<10}{error:.1e}  {verdict}\n")
    if as_json:
        write_data(json_text(facts))
    if not all(fact["error"] < LIMIT for fact in facts):
        raise typer.Exit(1)
