"""The search for good settings: trials, one at a time, each an ordinary run in a process of its own."""

import os
import shutil
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from charrnn.api.given import check_given, check_resumed, check_whole
from charrnn.api.hardware import place as placed
from charrnn.api.named import Corpus, names
from charrnn.api.search_space import check_budget, space
from charrnn.api.searching import Trials
from charrnn.api.settings import plain
from charrnn.api.study import check_optuna
from charrnn.api.trials import Series
from charrnn.api.tuned import SearchEnded, SearchEvent, Tuning
from charrnn.config import SEARCH_MINUTES, TRIALS_PER_SEARCH
from charrnn.errors import CharRNNError
from charrnn.runs.folder import create_run
from charrnn.runs.search import SearchRecord, find_search, read
from charrnn.text.reader import name_of
from charrnn.text.sources import STDIN, comes_once
from charrnn.training.backends.choice import DEFAULT

Prepare = Callable[[], tuple[Path, SearchRecord, bool]]


def tune(corpus: Corpus = (), **settings: Any) -> Tuning:
    """Search for good settings for a text, and return what was found; the arguments are those of `tune_events`.

    Ctrl-C ends the search after the current step: the trial is saved, and `tune(resume=...)` goes on.
    """
    from charrnn.api.training import stoppable

    searching = tune_events(corpus, **settings)
    with searching, stoppable(searching):
        for event in searching:
            if isinstance(event, SearchEnded):
                return event.result
    raise AssertionError("A search ends with its result.")


def tune_events(
    corpus: Corpus = (),
    *,
    resume: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    trial_minutes: float | None = None,
    trials: int | None = None,
    steps: int | None = None,
    search: Sequence[str] | None = None,
    keep_all: bool = False,
    name: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    backend: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    began: float | None = None,
    **settings: Any,
) -> "Search":
    """Search for good settings for a text, event by event (`charrnn.events`); needs Optuna.

    Args:
        corpus: Text files, folders, patterns, or "-" for stdin; one or several.
        resume: A search to go on with, by its name or folder; then nothing else but `out` is given.
        minutes: The time of the whole search; by default an hour.
        trial_minutes: The length of a trial; by default a tenth of `minutes`.
        trials, steps: In place of a time: the number of trials, and the steps of each. Then the result depends on the
            seed alone, also if the search is killed and goes on.
        search: The names of the settings to search, among "lr", "dropout", "units", "layers", "batch" and "seq"; by
            default all that are not given.
        keep_all: Keep the weights of all trials; by default only those of the best one.
        name: The name of the search, a folder among the runs; by default that of the text and "-tune".
        out: The folder of runs.
        seed: Of the search, and of each trial.
        backend, device, engine: As in `train`.
        began: The time (`time.perf_counter`) from which `minutes` counts; by default now.
        **settings: Settings that all trials share, as in `train`: `units=256` is then not searched.

    Returns:
        An iterator of events, with the method `stop`. The search begins when you iterate over it.

    Raises:
        CharRNNError: Optuna is not installed; a setting, the text or the folder cannot be used; or too many trials
            failed one after the other. What depends on the text is raised by the iteration.
    """
    given = {**locals(), "corpus": tuple(names(corpus))}
    check_optuna()
    check_given(name=name, out=out, backend=backend, device=device, engine=engine)
    runs = None if out is None else Path(out)
    if resume is not None:
        check_resumed("search", tune_events, given)
        return Search(partial(_resumed, os.fspath(resume), runs), began)
    check_budget(minutes, trial_minutes, trials, steps)
    check_whole("seed", seed, 0, 2**63 - 1)
    shared = {one: _stored(value) for one, value in settings.items()}
    sources = tuple(names(corpus))
    if not sources:
        raise CharRNNError("No text was named.", hint="Name a text: charrnn tune corpus.txt")
    searched = tuple(space(shared, search).ranges)
    if trials is None:
        minutes = SEARCH_MINUTES if minutes is None else minutes
        trial_minutes = minutes / TRIALS_PER_SEARCH if trial_minutes is None else trial_minutes
    # The backend is recorded, because another one would round differently.
    backend = backend or os.environ.get("KERAS_BACKEND") or DEFAULT
    place = {"backend": backend, "device": device, "engine": engine}
    placed(backend, device, engine=engine)
    record = SearchRecord(
        sources, os.getcwd(), shared, place, searched, minutes, trial_minutes, trials, steps, seed, keep_all
    )
    return Search(partial(_new, record, name, runs), began)


def _stored(value: Any) -> Any:
    """Return a setting in the form in which the file of the search has it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [_stored(one) for one in value] if isinstance(value, list | tuple) else plain(value)


def _new(record: SearchRecord, name: str | None, out: Path | None) -> tuple[Path, SearchRecord, bool]:
    """Make the folder of a new search."""
    for source in record.corpus:
        if source != STDIN and comes_once(source):
            raise CharRNNError(
                f"{source} is a pipe or a device, but each trial reads the text again.",
                "Name a file, or pipe the text to stdin and name it -",
            )
    for source in record.corpus:
        if source != STDIN and not any(sign in source for sign in "*?[") and not os.path.exists(source):
            raise CharRNNError(f"{source} does not exist.", "Check the path of the text.")
    run = create_run(name, f"{name_of(record.corpus[0])}-tune", out, left_empty=True)
    return run.path, record, True


def _resumed(name: str, out: Path | None) -> tuple[Path, SearchRecord, bool]:
    path = find_search(name, out)
    return path, read(path), False


class Search(Series[SearchEvent]):
    """A search in progress: iterate over it to search; it yields events (`charrnn.events`).

    `stop` saves the current trial and ends the search, which can go on later; it may be called from a signal handler.
    """

    def __init__(self, prepare: Prepare, began: float | None = None):
        """Keep the arguments; nothing runs yet. `began` is the time from which `minutes` counts."""
        super().__init__("search")
        self.began = perf_counter() if began is None else began
        self._is_new = False
        self._events = self._all(prepare)

    def tidy(self) -> None:
        """End the process of the current trial at once, and release the lock; leave no trace of an empty search."""
        super().tidy()
        if self._is_new and self.path is not None and not any(self.path.glob("trial-*")):
            shutil.rmtree(self.path, ignore_errors=True)

    def _all(self, prepare: Prepare) -> Generator[SearchEvent, None, None]:
        self.path, record, self._is_new = prepare()
        try:
            yield from Trials(self, self.path, record, self._is_new, self.began).events()
        finally:
            self.is_stepping = False
            self.tidy()
