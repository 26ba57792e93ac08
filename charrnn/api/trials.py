"""Runs that are trained one after the other, each in a process of its own: the series, and one of its runs."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from charrnn.api.apart import Apart
from charrnn.api.runs import run_of
from charrnn.runs import folder
from charrnn.runs.lock import Lock

E = TypeVar("E")


class Series(Generic[E]):
    """A series of runs in progress: iterate over it to train them; it yields events (`charrnn.events`).

    `stop` saves the current run and ends; `save` saves it and continues. Both may be called from a signal handler.
    """

    _events: Generator[E, None, None]

    def __init__(self, what: str):
        """Nothing is prepared yet. `what` says what the series is, such as "search"."""
        self.what = what
        self.path: Path | None = None
        self.lock: Lock | None = None
        self.is_stopped = False
        # Whether there is something that `stop` can save.
        self.is_stepping = False
        self._training: Apart | None = None

    def __iter__(self) -> Iterator[E]:
        return self._events

    def __next__(self) -> E:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.close()
        self.tidy()

    def stop(self) -> None:
        """Save the current run after its current step, and end; the series can go on later."""
        self.is_stopped = True
        if self._training is not None:
            self._training.stop()

    def save(self) -> None:
        """Save the current run after its current step, and continue."""
        if self._training is not None:
            self._training.save()

    def tidy(self) -> None:
        """End the process of the current run at once, and release the lock."""
        if self._training is not None:
            self._training.kill()
        if self.lock is not None:
            self.lock.release()

    def hold(self, path: Path) -> None:
        """Take the lock of the folder of the series; wait for a process that a killed series left there."""
        self.path, self.lock = path, Lock(path, self.what)
        self.lock.acquire_after_orphans()

    def train(self, training: Apart | None) -> None:
        """Remember which training is under way, so that it can be stopped."""
        self._training = training
        if training is not None and self.is_stopped:
            training.stop()

    def held(self) -> list[int]:
        """Return the descriptors that each training keeps open: so the lock is held as long as one of them lives."""
        return [] if self.lock is None or self.lock.descriptor is None else [self.lock.descriptor]


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
    # If it was killed before its first checkpoint, training again gives the same.
    run.clear()
    return Apart(corpus, held=held, name=path.name, out=path.parent, **settings, **place)
