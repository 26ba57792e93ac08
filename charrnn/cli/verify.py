"""`charrnn verify`: whether checkpoints are whole and sound."""

import json
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.console import printable, write_data
from charrnn.cli.options import AsJson


def verify(
    targets: Annotated[
        list[str], typer.Argument(metavar="RUN|FILE...", help="Runs (every checkpoint of theirs) or checkpoint files.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check checkpoints: format, digests, shapes, finite numbers. Exit 1 if any is bad."""
    from charrnn.verify import fault

    facts = []
    for path in (path for target in targets for path in checkpoints(target)):
        error = fault(path)
        facts.append({"path": str(path), "ok": error is None, "fault": error.message if error else None})
        if not as_json:
            write_data(f"{printable(str(path))}: ok\n" if error is None else f"bad: {printable(error.message)}\n")
    if as_json:
        write_data(json.dumps(facts) + "\n")
    if not all(fact["ok"] for fact in facts):
        raise typer.Exit(1)


def checkpoints(target: str) -> list[Path]:
    """Return the files that RUN|FILE means; a run without any is an error."""
    from charrnn.errors import CharRNNError
    from charrnn.runs import find_run

    # Any file may be asked about: that it is no checkpoint is the answer then.
    if Path(target).is_file():
        return [Path(target)]
    run = find_run(target)
    files = [*run.checkpoints(), *([run.best] if run.best.is_file() else [])]
    if not files:
        raise CharRNNError(f"The run {run.path} has no checkpoint yet.", hint="charrnn runs lists those that have.")
    return files
