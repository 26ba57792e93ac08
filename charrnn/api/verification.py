"""Checks that the checkpoints and the log of runs are complete and intact, and the comparison of two checkpoints."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.network.parameters import check_weights
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.finding import find_checkpoint, find_run, has_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.verify import fault

Finding = tuple[Path, CharRNNError | None]


def findings(target: str) -> Iterator[Finding]:
    """Yield each file of RUN|FILE with its error, or None if it is intact; CharRNNError for a run without any."""
    # Any file can be checked, unless a run has its name. If it is not a checkpoint, that is the answer.
    file = Path(target)
    if os.path.isfile(file) and (file.suffix == ".safetensors" or not has_checkpoint(target)):
        yield file, fault(file)
        return
    run = find_run(target)
    files = [*run.checkpoints(), *([run.best] if run.best.is_file() else [])]
    if not files:
        raise CharRNNError(
            f"The run {run.path} has no checkpoint yet.", hint="To list the runs that have one: charrnn runs"
        )
    for path in files:
        error = fault(path)
        # A trainer may have removed it since it was listed.
        if error is None or path.exists():
            yield path, error
    if run.log.path.is_file():
        yield run.log.path, _log_fault(run)


@dataclass(frozen=True)
class Comparison:
    """Whether two checkpoints have the same weights, to the bit; `why` says what differs, None if nothing does."""

    one: Path
    other: Path
    why: str | None = None


def compare(one: str, other: str) -> Comparison:
    """Return whether the weights of two RUN|FILE are equal; a run is compared by its best checkpoint."""
    paths = find_checkpoint(one), find_checkpoint(other)
    return Comparison(*paths, _difference(*map(_model, paths)))


def _model(path: Path) -> Checkpoint:
    checkpoint = read_checkpoint(path)
    check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
    return checkpoint


def _difference(one: Checkpoint, other: Checkpoint) -> str | None:
    if one.model != other.model:
        return f"one is {one.model.title}, the other {other.model.title}"
    if one.vocab != other.vocab:
        return "their characters differ"
    apart = {name: _apart(array, other.weights[name]) for name, array in one.weights.items()}
    name = max(apart, key=lambda name: apart[name])
    return f"the largest difference is {apart[name]:.2g}, in {name}" if apart[name] else None


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of two arrays; infinity if they differ only in NaN, the sign of 0, or in shape."""
    if one.tobytes() == other.tobytes() and one.shape == other.shape:
        return 0.0
    largest = float(np.abs(one - other).max()) if one.shape == other.shape else math.inf
    return largest if largest > 0 else math.inf


def _log_fault(run: Run) -> CharRNNError | None:
    """Return what is wrong with a run's log, or None; the newest intact checkpoint says how the log must begin."""
    try:
        progress = run.load_newest()[0].progress
        if progress is not None:
            run.log.resume(progress.metrics)
    except CharRNNError as error:
        return error
    return None
