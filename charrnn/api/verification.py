"""Whether the checkpoints and the log of runs are whole and sound."""

from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import CharRNNError
from charrnn.runs.folder import Run, find_run
from charrnn.runs.verify import fault

Finding = tuple[Path, CharRNNError | None]


def findings(target: str) -> Iterator[Finding]:
    """Yield each file that RUN|FILE means with what is wrong with it, or None; a run without any is an error."""
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
    if run.log.path.is_file():
        yield run.log.path, _log_fault(run)


def _log_fault(run: Run) -> CharRNNError | None:
    """Return what is wrong with a run's log, or None: its newest sound checkpoint vouches for its beginning."""
    try:
        progress = run.load_newest()[0].progress
        if progress is not None:
            run.log.resume(progress.metrics)
    except CharRNNError as error:
        return error
    return None
