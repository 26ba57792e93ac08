"""The table of what units do: which unit tells each feature best, and how often gates are open or shut."""

from typing import TYPE_CHECKING, Any

from charrnn.api.json_text import json_text
from charrnn.cli.views.table import aligned

if TYPE_CHECKING:
    import numpy as np

    from charrnn.inference.neurons import Gate, Neurons


def table(neurons: "Neurons", top: int, with_gates: bool) -> str:
    """Return the table of features with the `top` units of each, and the table of gates."""
    rows = [["FEATURE", "IN THE TEXT", "UNIT", "R"]]
    for feature, holds, mean in zip(neurons.features, neurons.holds, neurons.means.tolist(), strict=True):
        often = f"{mean:.1%}" if holds else f"mean {mean:.2f}"
        best = neurons.best(feature, top)
        rows += [
            ["" if place else feature, "" if place else often, name, f"{r:+.3f}"]
            for place, (name, r) in enumerate(best)
        ] or [[feature, often, "-", "-"]]
    shown = aligned(rows, "<><>")
    if not with_gates or not neurons.gates:
        return shown
    rows = [["GATE", "OPEN", "SHUT", "MOST OPEN", "", "MOST SHUT", ""]]
    for gate in neurons.gates:
        means = [f"{values.mean():.1%}" for values in (gate.right, gate.left)]
        rows.append([str(gate), *means, *_most(gate, gate.right), *_most(gate, gate.left)])
    return f"{shown}\n{aligned(rows, '<>><><>')}"


def _most(gate: "Gate", values: "np.ndarray") -> list[str]:
    """Return the unit of which a fraction is largest, and the fraction."""
    place = int(values.argmax())
    return [f"{gate}/{place}", f"{values[place]:.1%}"]


def facts(neurons: "Neurons", top: int, run: str, with_gates: bool) -> str:
    """Return the same as JSON."""
    found: dict[str, Any] = {"run": run, **neurons.to_json(top)}
    if not with_gates:
        del found["gates"]
    return json_text(found)
