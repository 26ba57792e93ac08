"""`charrnn devices`: the devices that each backend can use, and why a GPU is not used."""

import sys
from collections.abc import Iterator
from typing import Any

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import say, write_data
from charrnn.cli.views.wrapping import columns_of, wrapped

# A GPU with less than this share of its memory free is in use.
SCARCE = 0.1
# The columns of the label of each line, for example a backend with its version.
_LABEL = 21


def devices(as_json: o.AsJson = False) -> None:
    """Show the devices for training, and why a GPU is not used.

    Choose a device with `charrnn train --device`, and a backend with --backend.
    """
    from charrnn.api import devices as api
    from charrnn.training.backends.choice import BACKENDS

    say("Looking for the devices of each backend …")
    facts = api.devices()
    titles = {name: backend.title for name, backend in BACKENDS.items()}
    columns = columns_of(sys.stdout)
    write_data(json_text(facts) if as_json else "".join(line + "\n" for line in lines(facts, titles, columns)))


def lines(facts: dict[str, Any], names: dict[str, str], columns: int | None = None) -> list[str]:
    """Return the output for a person, in lines of at most `columns` columns (None: of any length)."""
    quick = (
        "in hardware: --precision bf16 is faster" if facts["bf16"] else "not in hardware: --precision bf16 is no faster"
    )
    told = [
        ("Processor", f"{facts['processor']}, {facts['cores']} cores; bfloat16 products {quick}."),
        *((f"GPU {place}", _gpu(gpu)) for place, gpu in enumerate(facts["driver"]["gpus"])),
    ]
    for name, found in facts["backends"].items():
        version = f" {found['version']}" if found["version"] else ""
        told.append((names[name] + version, "cpu" if found["version"] else "not installed"))
        told += [("", f"gpu:{place}, {gpu}") for place, gpu in enumerate(found["gpus"])]
        told += [("", found["why_no_gpu"])] if found["why_no_gpu"] else []
    return [line for label, text in told for line in _beside(label, text, columns)]


def _beside(label: str, text: str, columns: int | None) -> Iterator[str]:
    """Yield the lines of a text with a label before the first."""
    for line in wrapped(text, columns, " " * _LABEL):
        yield f"{label:<{_LABEL}}{line[_LABEL:]}"
        label = ""


def _gpu(gpu: dict[str, Any]) -> str:
    if not gpu["total_mib"]:
        return gpu["name"]
    warning = ": another process uses the rest" if gpu["free_mib"] < SCARCE * gpu["total_mib"] else ""
    return f"{gpu['name']}, {gpu['free_mib']:,} of {gpu['total_mib']:,} MiB free{warning}"
