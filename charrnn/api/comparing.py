"""Comparing candidates: one run of each for every seed, one after the other, each in a process of its own."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from charrnn.api.candidates import combinations
from charrnn.api.comparison import Comparison, comparison_of, trial_of
from charrnn.api.datasets import Sources
from charrnn.api.events import Began, Event, Noticed, OfRun, Planned, RunBegan, RunEnded
from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given, check_resumed, check_whole, one_or_several, unfit
from charrnn.api.hardware import place as placed
from charrnn.api.named import Corpus, names
from charrnn.api.new_comparison import continued, new_comparison, vocabulary_digest
from charrnn.api.runs import run_of
from charrnn.api.settings import plain
from charrnn.api.training import stoppable
from charrnn.api.trials import Series, training_left
from charrnn.config import DEFAULT_MINUTES
from charrnn.errors import CharRNNError
from charrnn.runs import comparison as file
from charrnn.runs import folder
from charrnn.text.reader import Watch
from charrnn.training.backends.choice import DEFAULT

BUDGETS = ("minutes", "steps", "characters")


def compare(corpus: Corpus = (), *, notify: Notify = unheard, **settings: Any) -> Comparison:
    """Compare cells, or other settings, on a text, and return the result.

    The arguments are those of `compare_events`. `notify` is called with each message for the user. After Ctrl-C the
    current run is saved, and the result so far is returned; `resume` continues the comparison.
    """
    comparing = compare_events(corpus, **settings)
    check_given(notify=notify)
    with comparing, stoppable(comparing):
        for event in comparing:
            notice = event.event if isinstance(event, OfRun) else event
            if isinstance(notice, Noticed):
                notify(notice.message)
    return comparing.result()


def compare_events(
    corpus: Corpus = (),
    *,
    cell: str | Sequence[str] = "lstm",
    vary: Mapping[str, Sequence[Any]] | None = None,
    params: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    minutes: float | None = None,
    steps: int | None = None,
    characters: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    include: Sequence[str] = (),
    val_file: Corpus = (),
    vocab: str | Path | None = None,
    min_count: int = 1,
    backend: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    watch: Watch | None = None,
    **settings: Any,
) -> "Comparing":
    """Compare cells, or other settings, on a text, event by event.

    Args:
        corpus, include, val_file, vocab, min_count, backend, device, engine, watch: As for `train_events`.
        cell: One or several cells.
        vary: Values of other settings, by name: `{"units": [128, 256], "dropout": [0, 0.3]}`. Every combination of
            cells and values is a candidate.
        params: Choose the units of each candidate so that its number of parameters is nearest to this.
        seeds: How many runs each candidate has.
        seed: The seed of the first run; the next ones have the next seeds.
        minutes, steps, characters: The budget of each run, one of them. `characters` is how many are read, whatever
            `batch` and `seq` are. Default: 10 minutes.
        resume: A comparison to continue, by name or path, instead of a `corpus`. Its settings stay as they are. Runs
            that failed are tried again, from where they were.
        name: Of the comparison; by default that of the text, with "-compare".
        out: The folder in which the folder of the comparison is made; by default as for `train_events`.
        **settings: Settings of all candidates, as for `train_events`.

    Returns:
        An iterator of `charrnn.events`, with the methods `stop`, `save` and `result`. Training starts when you iterate
        over it.

    Raises:
        CharRNNError: The iteration raises it for settings or a text that cannot be used. A run that fails does not end
            the others: the result says what happened.
    """
    given = {**locals(), "corpus": tuple(names(corpus))}
    check_given(name=name, out=out, vocab=vocab, watch=watch)
    placed(backend, device, engine=engine)
    if resume is not None:
        check_given(run=resume)
        check_resumed("comparison", compare_events, given)
        return Comparing(partial(continued, os.fspath(resume), None if out is None else Path(out)), watch)
    check_whole("seeds", seeds, least=1)
    check_whole("seed", seed, least=0, most=2**63 - seeds)
    check_whole("min_count", min_count, least=1)
    for count, value in (("params", params), ("characters", characters)):
        if value is not None:
            check_whole(count, value, least=1)
    sources = Sources(
        names(corpus),
        names(val_file, "val_file"),
        names(include, "include"),
        None if vocab is None else Path(vocab),
        min_count,
    )
    cells = one_or_several("cell", cell, str, "the name of a cell, or several in a list")
    varied = combinations(cells, _lists(vary), int(seeds))
    prepare = partial(
        new_comparison,
        sources=sources,
        varied=varied,
        params=None if params is None else int(params),
        seeds=range(seed, seed + seeds),
        budget=_budget({"minutes": minutes, "steps": steps, "characters": characters}),
        # The backend is recorded, because another one would round differently.
        place={
            "backend": backend or os.environ.get("KERAS_BACKEND") or DEFAULT,
            "device": device,
            "engine": engine,
        },
        given=settings,
        name=name,
        out=None if out is None else Path(out),
    )
    return Comparing(prepare, watch)


def _lists(vary: Mapping[str, Sequence[Any]] | None) -> Mapping[str, Sequence[Any]]:
    if vary is not None and not isinstance(vary, Mapping):
        raise unfit("vary", vary, "a dict: the names of settings, and lists of values")
    for values in (vary or {}).values():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise unfit("vary", vary, "a dict: the names of settings, and lists of values")
    return vary or {}


def _budget(given: dict[str, Any]) -> dict[str, Any]:
    """Return the budget that was given."""
    budget = {name: plain(value) for name, value in given.items() if value is not None}
    if len(budget) > 1:
        raise CharRNNError(
            f"{' and '.join(f'`{name}`' for name in budget)} were given; each run has one budget.", "Give one of them."
        )
    return budget or {"minutes": DEFAULT_MINUTES}


Prepare = Callable[["Comparing"], Generator[Event, None, file.Record]]


class Comparing(Series[Event]):
    """A comparison in progress: iterate over it to train its runs; it yields events (`charrnn.events`).

    `stop` saves the current run and ends; `save` saves it and continues. Both may be called from a signal handler.
    """

    def __init__(self, prepare: Prepare, watch: Watch | None):
        """Keep the arguments; nothing is prepared yet."""
        super().__init__("comparison")
        self.watch = watch
        self.record: file.Record | None = None
        # Makes a context that a signal handler must not interrupt halfway.
        self.undisturbed: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.has_ended = False
        self._events = self._all(prepare)

    def result(self) -> Comparison:
        """Return the result so far; it can be asked for when the folder has been made or found."""
        assert self.path is not None and self.record is not None
        return comparison_of(self.path, self.record)

    def _all(self, prepare: Prepare) -> Generator[Event, None, None]:
        try:
            self.record = yield from prepare(self)
            assert self.path is not None
            runs = self.record.runs()
            yield Planned(self.path, tuple(name for name, _, _ in runs))
            for number, (name, one, seed) in enumerate(runs, 1):
                if self.is_stopped:
                    return
                yield from self._run(name, one, seed, number)
            self.has_ended = not self.is_stopped
        finally:
            self.tidy()

    def _run(self, name: str, one: file.Candidate, seed: int, number: int) -> Iterator[Event]:
        """Train a run, or what is left of it; if it fails, record why."""
        assert self.path is not None and self.record is not None
        path, record = self.path / name, self.record
        settings = {**one.settings, **record.reading, "seed": seed}
        failure = None
        try:
            training = training_left(path, list(record.text), settings, dict(record.place), self.held())
            if training is None:
                # It may have failed once, and ended later, when this process was killed.
                self._note(name, _unusable(run_of(folder.Run(path)), record))
                return
            yield RunBegan(name, number, len(record.runs()), path.is_dir())
            with training:
                self.train(training)
                for event in training:
                    self.is_stepping = self.is_stepping or isinstance(event, Began)
                    yield OfRun(name, event)
        except CharRNNError as error:
            failure = str(error)
        finally:
            self.train(None)
            self.is_stepping = False
        if self.is_stopped and failure is None:
            return
        if failure is None:
            failure = _unusable(run_of(folder.Run(path)), record)
        self._note(name, failure)
        yield RunEnded(name, trial_of(self.path, name, seed, failure))

    def _note(self, name: str, failure: str | None) -> None:
        """Record whether a run failed."""
        assert self.path is not None and self.record is not None
        if self.record.failures.get(name) == failure:
            return
        others = {key: why for key, why in self.record.failures.items() if key != name}
        self.record = replace(self.record, failures=others if failure is None else {**others, name: failure})
        file.write(self.path, self.record)


def _unusable(run: Any, record: file.Record) -> str | None:
    """Return why the result of a run that has ended cannot be used, if that is so."""
    if run.sha256 != record.sha256:
        return "The text has changed since the comparison began."
    if record.val_sha256 not in (None, run.val_sha256):
        return "The validation text has changed since the comparison began."
    if vocabulary_digest(record.reading.get("vocab")) not in (None, record.vocab_sha256):
        return "The vocabulary has changed since the comparison began."
    return None if run.validation is not None else run.why or "Its best checkpoint was not evaluated."
