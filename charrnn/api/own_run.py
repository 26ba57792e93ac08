"""A new run that continues from an older checkpoint, or a copy of one; the old run is not changed."""

import os
from dataclasses import replace
from pathlib import Path

from charrnn.api.session import Training
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, read_header
from charrnn.runs.folder import Run, runs_folder
from charrnn.runs.progress import Progress
from charrnn.runs.verify import check


def older_checkpoint(name: str, out: Path | None) -> Path | None:
    """Return the checkpoint file that `name` means; None if it is the newest of its run, or the name of a run."""
    path = Path(name)
    if path.suffix != ".safetensors" or not os.path.isfile(path) or ((out or runs_folder()) / name).is_dir():
        return None
    run = Run(path.parent)
    newest = run.newest()
    if newest is not None and newest.name == path.name:
        return None
    if path.name == run.best.name and (newest is None or read_header(path).step == read_header(newest).step):
        return None
    return path


def read_older(path: Path) -> Checkpoint:
    """Return a checkpoint from which training can continue; raise CharRNNError, which names the file, for others."""
    checkpoint = read_checkpoint(path, training=True)
    check(checkpoint, path)
    return checkpoint


def own_run(
    training: Training, path: Path, progress: Progress, name: str | None, out: Path | None
) -> tuple[Run, Progress, str]:
    """Make a new run that continues from the checkpoint at `path`; return it, its progress, and a message.

    The log up to this checkpoint and the best model so far are copied, if they are still in the old run.
    """
    old = Run(path.parent)
    is_of_run = old.newest() is not None or old.best.is_file()
    beside = old.path.parent if old.path.name == old.name else old.path.resolve().parent
    title, folder = (old.name, beside) if is_of_run else (path.stem, runs_folder())
    run = training.make(name, title, out or folder)
    said = f"Continuing from step {progress.step:,} of {title} in a new run: {run.name}."
    run.log.take(old.log.path, progress.metrics)
    best = _best(old, path, progress)
    if best is None:
        # The best checkpoint is gone: the first evaluation of this run is its best.
        progress = replace(progress, best_nats=None, best_accuracy=None, best_step=None, evaluations_since_best=0)
    elif training.is_first:
        run.ahead[run.best] = best.read_bytes()
    return run, progress, said


def _best(old: Run, path: Path, progress: Progress) -> Path | None:
    """Return the file that has the best model so far; None if it is gone."""
    if progress.best_step == progress.step:
        return path
    try:
        return old.best if old.best.is_file() and read_header(old.best).step == progress.best_step else None
    except CharRNNError:
        return None
