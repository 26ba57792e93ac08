"""Finding runs and their checkpoints: by name, by path, or the newest."""

import os
from contextlib import suppress
from pathlib import Path

from charrnn.errors import CharRNNError, did_you_mean
from charrnn.runs.folder import Run, is_empty, runs_folder


def list_runs(folder: Path | None = None) -> list[Run]:
    """Return the runs in a folder (by default `runs_folder()`), the newest first."""
    folder = folder or runs_folder()
    if not folder.is_dir():
        return []
    runs = []
    for path in folder.iterdir():
        # A folder that may not be read must not hide the others.
        with suppress(PermissionError):
            if not path.name.startswith(".") and _is_run(path):
                runs.append((-Run(path).modified, path.name))
    return [Run(folder / name) for _, name in sorted(runs)]


def find_run(run: str, folder: Path | None = None) -> Run:
    """Return the run that RUN means: a name in the folder of runs, the path of a run, or a path of one of its files."""
    try:
        return _find_run(run, folder or runs_folder())
    except OSError as error:
        raise CharRNNError(
            f"The run {error.filename or run} cannot be read: {error.strerror}.",
            "Check its name and its permissions. To list the runs: charrnn runs",
        ) from error


def _find_run(run: str, folder: Path) -> Run:
    if not run:
        raise CharRNNError("The name of a run is empty.", "Name one: charrnn runs lists them.")
    path = Path(run)
    # An argument with a slash, such as ./p, is a path first; anything else is a name first.
    places = [path, folder / run] if os.sep in run else [folder / run, path]
    for place in places:
        if _is_run(place):
            return Run(place)
    if path.suffix == ".safetensors" and path.is_file():
        return Run(path.parent)
    if path.is_file():
        raise CharRNNError(
            f"{run} is a file, not a run, and not a checkpoint: the name of a checkpoint ends in .safetensors.",
            f"If it is a text, train on it first: charrnn train {run}",
        )
    if path.is_dir():
        raise CharRNNError(
            f"The folder {run} is not a run: it has no checkpoint.",
            f"If it has texts, train on them first: charrnn train {run}",
        )
    if path.suffix == ".safetensors":
        raise _no_file(path)
    known = [other.name for other in list_runs(folder)]
    hint = did_you_mean(run, known, most=3)
    if not hint and known:
        few = ", ".join(known[:5])
        hint = f"The only run there is {few}." if len(known) == 1 else f"Runs there: {few}. List all: charrnn runs"
    elif not hint:
        hint = "Train one first: charrnn train corpus.txt"
    raise CharRNNError(f"There is no run {run!r} in {folder} or at this path.", hint)


def _no_file(path: Path) -> CharRNNError:
    """Return the error for a checkpoint file that does not exist."""
    run = Run(path.parent)
    files = [file.name for file in (*run.checkpoints(), run.best) if file.is_file()]
    if not files:
        return CharRNNError(f"{path} does not exist.", hint="To list the runs: charrnn runs")
    few = ", ".join(files if len(files) < 6 else ["…", *files[-5:]])
    return CharRNNError(
        f"{path} does not exist.", hint=f"The checkpoint{'' if len(files) == 1 else 's'} in {run.path}: {few}."
    )


def find_folder(name: str, file: str, folder: Path | None = None) -> Path | None:
    """Return the folder that has a file of this name: one in the folder of runs, or at this path; None if neither."""
    folder = folder or runs_folder()
    places = [Path(name), folder / name] if os.sep in name else [folder / name, Path(name)]
    return next((place for place in places if (place / file).is_file()), None)


def find_checkpoint(run: str | None, folder: Path | None = None) -> Path:
    """Return the file that RUN means: itself, or the run's best checkpoint, or its newest; None is the newest run."""
    folder = folder or runs_folder()
    if run is None:
        candidates = list_runs(folder)
    elif run.endswith(".safetensors") and os.path.isfile(run):
        return Path(run)
    else:
        candidates = [find_run(run, folder)]
    for candidate in candidates:
        path = candidate.best if candidate.best.is_file() else candidate.newest()
        if path:
            return path
    what = f"The run {candidates[0].path} has" if run is not None else f"The runs in {folder} have"
    raise CharRNNError(
        f"{what} no checkpoint yet." if candidates else f"There is no run in {folder} yet.",
        "Train one first: charrnn train corpus.txt",
    )


def has_checkpoint(run: str) -> bool:
    """Return whether RUN means a checkpoint."""
    try:
        find_checkpoint(run)
    except CharRNNError:
        return False
    return True


def _is_run(path: Path) -> bool:
    """Return whether a folder has files of a run, or is empty (a run that is about to begin)."""
    if not path.is_dir():
        return False
    run = Run(path)
    trained = run.best.is_file() or run.log.path.is_file() or bool(run.newest())
    return trained or is_empty(path)
