"""charrnn runs: what has been trained."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.console import printable, say, write_data
from charrnn.cli.views.table import aligned
from charrnn.errors import CharRNNError
from charrnn.json_text import json_text

if TYPE_CHECKING:
    from charrnn.runs.folder import Run


def runs(
    out: Annotated[Path | None, typer.Option("--out", help="The folder of runs.", show_default="checkpoints")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the runs, the newest first: steps, cell and size, best bits per character, age, size on disk."""
    from charrnn.runs.folder import list_runs, runs_folder

    folder = out or runs_folder()
    facts = [_facts(run) for run in list_runs(folder)]
    if as_json:
        write_data(json_text(facts, indent=2))
    elif facts:
        heads = ("run", "steps", "model", "best bits/char", "trained", "on disk")
        write_data(aligned([heads, *map(_row, facts)], "<><>>>"))
    else:
        say(f"There is no run in {printable(str(folder))} yet. Train one: charrnn train corpus.txt")


def _facts(run: "Run") -> dict[str, Any]:
    """Return what the newest readable header of a run says; None where there is no saying, and `note` says why."""
    from charrnn.runs.checkpoint import read_header

    facts: dict[str, Any] = {
        "name": run.name,
        "steps": None,
        "cell": None,
        "layers": None,
        "units": None,
        "stack": None,
        "model": None,
        "best_bits_per_char": None,
        "modified": datetime.fromtimestamp(run.modified, UTC).isoformat(timespec="seconds"),
        "bytes": sum(_size(path) for path in run.path.rglob("*")),
        "path": str(run.path),
        "note": None,
    }
    files = run.checkpoints()[::-1] + ([run.best] if run.best.is_file() else [])
    for path in files:
        try:
            header = read_header(path)
        except CharRNNError:
            continue
        step, nats = header.progress.get("step"), header.progress.get("best_nats")
        facts["steps"] = step if isinstance(step, int) else None
        facts |= {name: getattr(header.model, name) for name in ("cell", "layers", "units", "stack")}
        facts["model"] = header.model.title
        facts["best_bits_per_char"] = nats / math.log(2) if isinstance(nats, float) else None
        return facts
    facts["note"] = "every checkpoint is damaged" if files else "no checkpoint yet"
    return facts


def _size(path: Path) -> int:
    # A trainer may remove a checkpoint between the listing and this look at it.
    try:
        return path.lstat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _row(fact: dict[str, Any]) -> tuple[str, ...]:
    steps, bits = fact["steps"], fact["best_bits_per_char"]
    seconds = time.time() - datetime.fromisoformat(fact["modified"]).timestamp()
    return (
        printable(fact["name"]),
        "-" if steps is None else f"{steps:,}",
        fact["note"] or fact["model"],
        "-" if bits is None else f"{bits:.3f}",
        age(seconds),
        size(fact["bytes"]),
    )


def age(seconds: float) -> str:
    """Return how long ago something was, in its largest whole unit: "3 min ago"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {'day' if unit == 'days' and count == 1 else unit} ago"
    return "just now"


def size(count: int) -> str:
    """Return a number of bytes in decimal units: "41.2 MB"."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} B"
