"""One run of a set of runs, which are trained one after the other: begun, continued, or complete."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn.api.apart import Apart
from charrnn.api.runs import run_of
from charrnn.runs import folder


def training_left(
    path: Path, corpus: Any, settings: dict[str, Any], place: dict[str, Any], held: Sequence[int] = ()
) -> Apart | None:
    """Return the training that a run still needs, in a process of its own; None if the run is complete.

    A run is complete when its best checkpoint has been evaluated exactly. A run without a checkpoint begins again.

    Args:
        path: The folder of the run; it need not exist.
        corpus, settings: Arguments of `train_events` for a new run: its text, and everything else but its name.
        place: Arguments of `train_events` and `resume_events` that are not stored in a run: `backend`, `device`,
            `engine`.
        held: As for `Apart`: the lock of the set of runs is held as long as one of its trainings lives.
    """
    run = folder.Run(path)
    if run.newest() or run.best.is_file():
        return None if run_of(run).validation else Apart(resume=path, held=held, **place)
    if path.is_dir():
        # Killed before its first checkpoint: training again gives the same.
        shutil.rmtree(path)
    return Apart(corpus, held=held, name=path.name, out=path.parent, **settings, **place)
