"""`charrnn devices`: what each backend can compute on, and why not on a GPU."""

from typing import Any

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import say, write_data

# A GPU with less than this share of its memory free is in use.
SCARCE = 0.1


def devices(as_json: o.AsJson = False) -> None:
    """Show on what each backend can train, and why a GPU is not used.

    Choose with `charrnn train --device`, and the backend with --backend.
    """
    from charrnn.api import devices as api
    from charrnn.training.backends.choice import BACKENDS

    say("Asking each backend …")
    facts = api.devices()
    titles = {name: backend.title for name, backend in BACKENDS.items()}
    write_data(json_text(facts) if as_json else "".join(line + "\n" for line in lines(facts, titles)))


def lines(facts: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Return what there is to say to a person."""
    quick = "in hardware: --precision bf16 pays" if facts["bf16"] else "not in hardware: --precision bf16 does not pay"
    told = [
        f"Processor     {facts['processor']}, {facts['cores']} cores; bfloat16 products {quick}.",
        *(f"GPU {place:<9} {_gpu(gpu)}" for place, gpu in enumerate(facts["driver"]["gpus"])),
    ]
    for name, found in facts["backends"].items():
        version = f" {found['version']}" if found["version"] else ""
        told.append(f"{names[name] + version:<20} {'cpu' if found['version'] else 'not installed'}")
        told += [f"{'':<20} gpu:{place}, {gpu}" for place, gpu in enumerate(found["gpus"])]
        told += [f"{'':<20} {found['why_no_gpu']}"] if found["why_no_gpu"] else []
    return told


def _gpu(gpu: dict[str, Any]) -> str:
    if not gpu["total_mib"]:
        return gpu["name"]
    warning = ": another process has the rest" if gpu["free_mib"] < SCARCE * gpu["total_mib"] else ""
    return f"{gpu['name']}, {gpu['free_mib']:,} of {gpu['total_mib']:,} MiB free{warning}"
