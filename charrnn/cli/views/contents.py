"""The output of `charrnn inspect`: rows of facts, the table of arrays, the chart of losses, the list of checkpoints."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from charrnn.cli.views.table import aligned
from charrnn.cli.views.units import age, short, size

WIDTH = 80
LABEL = 14


def shown(facts: dict[str, Any]) -> str:
    """Return the whole output, as wide as the terminal, in colour if stdout gets colours."""
    from charrnn.api.history import losses
    from charrnn.cli.views.chart import NARROWEST, draw
    from charrnn.cli.views.heat import wanted
    from charrnn.cli.views.summary import rows

    terminal = sys.stdout.isatty()
    width = max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns) if terminal else WIDTH
    facts_shown = (line for label, lines in rows(facts, width - LABEL) for line in _beside(label, lines, width))
    sections = [
        "".join(f"{line}\n" for line in facts_shown),
        _arrays(facts["layers"], facts["all"]),
        "".join(f"{line}\n" for line in draw(losses(facts["history"]), width, wanted(), facts["unit"])),
        _checkpoints(facts["checkpoints"], facts["unit"]),
    ]
    return "\n".join(filter(None, sections))


def _beside(label: str, lines: Iterable[str], width: int) -> Iterator[str]:
    """Yield lines with the label before the first one; lines that are too wide are broken."""
    from textwrap import wrap

    from rich.cells import cell_len, chop_cells

    for line in lines:
        parts = [line]
        if cell_len(line) > width - LABEL:
            words = wrap(line, width - LABEL, replace_whitespace=False, break_on_hyphens=False)
            parts = [cut for part in words for cut in chop_cells(part, width - LABEL)]
        for part in parts:
            yield f"{label:<{LABEL}}{part}".rstrip()
            label = ""


def _arrays(layers: list[dict[str, Any]], whole: dict[str, Any]) -> str:
    """Return the table of arrays: each layer, and below it the arrays of the layer."""
    table: list[tuple[str, ...]] = [("parameters of", "shape", "number", "rms", "largest")]
    for layer in layers:
        arrays = layer["arrays"]
        alone = arrays[0] if arrays[0]["name"] == layer["name"] else None
        table.append((layer["name"], _shape(alone) if alone else "", *_numbers(layer)))
        table += [(f"  {array['name']}", _shape(array), *_numbers(array)) for array in arrays if array is not alone]
    return aligned([*table, ("all", "", *_numbers(whole))], "<>>>>")


def _shape(array: dict[str, Any]) -> str:
    return " x ".join(f"{length:,}" for length in array["shape"])


def _numbers(part: dict[str, Any]) -> tuple[str, str, str]:
    return f"{part['parameters']:,}", _magnitude(part["rms"]), _magnitude(part["largest"])


def _magnitude(value: float | None) -> str:
    if value is None:
        return "not finite"
    return f"{value:.4f}" if value == 0 or 1e-3 <= value < 1e5 else f"{value:.2e}"


def _checkpoints(files: list[dict[str, Any]], unit: str) -> str:
    if not files:
        return ""
    table: list[tuple[str, ...]] = [("checkpoint", "step", f"bits/{short(unit)}", "size", "saved", "")]
    for fact in files:
        step = "-" if fact["step"] is None else f"{fact['step']:,}"
        bits = "-" if fact["bits_per_char"] is None else f"{fact['bits_per_char']:.4f}"
        saved = age(time.time() - datetime.fromisoformat(fact["modified"]).timestamp())
        mark = "best" if fact["best"] else "" if fact["readable"] else "cannot be read"
        table.append((fact["file"], step, bits, size(fact["bytes"]), saved, mark))
    return aligned(table, "<>>>><")
