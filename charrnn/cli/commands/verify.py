"""`charrnn verify`: whether checkpoints are whole and sound."""

from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import as_options, printable, say, write_data


def verify(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="RUN|FILE...", help="Runs (every checkpoint and the log) or checkpoint files."),
    ],
    cells: o.Cells = None,
    as_json: o.AsJson = False,
) -> None:
    """Check checkpoints: format, digests, shapes, finite numbers. Exit 1 if any is bad."""
    from charrnn.api.verification import findings

    facts, hints = [], set()
    for path, error in (finding for target in targets for finding in findings(target)):
        facts.append({"path": str(path), "ok": error is None, "fault": error.message if error else None})
        if error is not None and error.hint:
            hints.add(printable(as_options(error.hint)))
        if not as_json:
            fault = "" if error is None else printable(as_options(error.message))
            write_data(f"{printable(str(path))}: ok\n" if error is None else f"bad: {fault}\n")
    if as_json:
        write_data(json_text(facts))
    for hint in sorted(hints):
        say(hint)
    if not all(fact["ok"] for fact in facts):
        raise typer.Exit(1)
