"""`charrnn gradcheck`: checks that the gradients of training are correct."""

from typing import Annotated, Any

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import write_data
from charrnn.config import ModelConfig

ALL = "all"
UNITS = 3


def gradcheck(
    cell: Annotated[str, typer.Option("--cell", help=f"A cell, or {ALL} for all cells.")] = ALL,
    cells: o.Cells = None,
    layers: o.Layers = 2,
    units: o.Units = UNITS,
    embedding: o.Embedding = None,
    stack: o.Stack = ModelConfig.stack,
    attention: o.Attention = None,
    labels: Annotated[
        int | None,
        typer.Option("--labels", metavar="N", min=2, help="Predict N labels, as train --labels.", show_default=False),
    ] = None,
    seed: o.Seed = 0,
    backend: o.Backend = None,
    engine: o.Engine = "auto",
    as_json: o.AsJson = False,
) -> None:
    """Compare the gradients of training with numerical ones.

    Everything is computed in float64. Exits with 1 if a gradient is wrong.
    The error of a parameter is the largest |analytic - numeric| / max(|analytic|, |numeric|) of its elements. The
    denominator is at least 1/10,000 of the largest element, and at least 0.00001; smaller differences are noise.
    """
    from charrnn.api.gradients import LIMIT, check_gradients

    facts: list[dict[str, Any]] = []
    heads = as_json
    for one, name, shape, error in check_gradients(
        None if cell == ALL else cell, layers, units, embedding, stack, seed, backend, engine, attention, labels
    ):
        ok = error < LIMIT
        facts.append({"cell": one, "parameter": name, "shape": list(shape), "error": error, "ok": ok})
        if not heads:
            write_data(f"{'CELL':<26}{'PARAMETER':<18}{'SHAPE':<10}{'ERROR':<9}VERDICT\n")
            heads = True
        if not as_json:
            verdict = "ok" if ok else "WRONG"
            write_data(f"{one:<26}{name:<18}{'x'.join(map(str, shape)):<10}{error:.1e}  {verdict}\n")
    if as_json:
        write_data(json_text(facts))
    if not all(fact["ok"] for fact in facts):
        raise typer.Exit(1)
