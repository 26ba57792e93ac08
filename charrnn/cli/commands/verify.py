"""`charrnn verify`: whether checkpoints are whole and sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.console import printable, write_data
from charrnn.cli.options import AsJson
from charrnn.errors import CharRNNError
from charrnn.json_text import json_text

if TYPE_CHECKING:
    from charrnn.runs.folder import Run

Finding = tuple[Path, CharRNNError | None]


def verify(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="RUN|FILE...", help="Runs (every checkpoint and the log) or checkpoint files."),
    ],
    as_json: AsJson = False,
) -> None:
    """Check checkpoints: format, digests, shapes, finite numbers. Exit 1 if any is bad."""
    facts = []
    for path, error in (finding for target in targets for finding in findings(target)):
        facts.append({"path": str(path), "ok": error is None, "fault": error.message if error else None})
        if not as_json:
            write_data(f"{printable(str(path))}: ok\n" if error is None else f"bad: {printable(error.message)}\n")
    if as_json:
        write_data(json_text(facts))
    if not all(fact["ok"] for fact in facts):
        raise typer.Exit(1)


def findings(target: str) -> Iterator[Finding]:
    """Yield each file that RUN|FILE means with what is wrong with it, or None; a run without any is an error."""
    from charrnn.runs.folder import find_run
    from charrnn.runs.verify import fault

    # Any file may be asked about: that it is no checkpoint is the answer then.
    if Path(target).is_file():
        yield Path(target), fault(Path(target))
        return
    run = find_run(target)
    files = [*run.checkpoints(), *([run.best] if run.best.is_file() else [])]
    if not files:
        raise CharRNNError(f"The run {run.path} has no checkpoint yet.", hint="charrnn runs lists those that have.")
    for path in files:
        error = fault(path)
        # A trainer may have removed it since it was listed.
        if error is None or path.exists():
            yield path, error
    if run.log.path.exists():
        yield run.log.path, log_fault(run)


def log_fault(run: "Run") -> CharRNNError | None:
    """Return what is wrong with a run's log, or None: its newest sound checkpoint vouches for its beginning."""
    try:
        metrics = run.load_newest()[0].progress["metrics"]
        run.log.resume(metrics["bytes"], metrics["sha256"])
    except CharRNNError as error:
        return error
    return None
