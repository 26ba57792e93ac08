"""`charrnn verify`: checks that checkpoints are intact and valid."""

from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import as_options, printable, say, write_data
from charrnn.errors import CharRNNError


def verify(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE...", help="Runs (all checkpoints and the log are checked) or checkpoint files."
        ),
    ],
    equal: Annotated[
        bool,
        typer.Option(
            "--equal", help="Compare the weights of two runs (their best checkpoints) or files; exit 1 if they differ."
        ),
    ] = False,
    cells: o.Cells = None,
    as_json: o.AsJson = False,
) -> None:
    """Check that checkpoints are intact.

    Checks the format, the digests, the shapes, and that all numbers are finite. Exits with 1 if a checkpoint is bad.
    """
    from charrnn.api.verification import findings

    if equal:
        _compare(targets, as_json)
        return
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


def _compare(targets: list[str], as_json: bool) -> None:
    """Print whether the weights of two checkpoints are equal."""
    from charrnn.api.verification import compare

    if len(targets) != 2:
        raise CharRNNError(
            "--equal compares exactly two runs or checkpoints.", hint="Name two: charrnn verify A B --equal"
        )
    found = compare(*targets)
    if as_json:
        write_data(json_text({"paths": [str(found.one), str(found.other)], "equal": not found.why, "why": found.why}))
    else:
        names = printable(f"{found.one} and {found.other}")
        write_data(f"{names}: the weights {f'differ: {found.why}' if found.why else 'are equal'}\n")
    if found.why:
        raise typer.Exit(1)
