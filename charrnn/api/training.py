"""Training: a new run, or one that goes on; whole, or event by event."""

import inspect
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from charrnn.api.datasets import Sources
from charrnn.api.events import Measured, Noticed
from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given, check_whole, unfit
from charrnn.api.hardware import place
from charrnn.api.named import Corpus, names
from charrnn.api.new_run import new_job
from charrnn.api.resuming import resumed_job
from charrnn.api.runs import Run, run_of
from charrnn.api.session import Training
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.text.reader import Watch


def train(corpus: Corpus, *, notify: Notify = unheard, **settings: Any) -> Run:
    """Train a new run on a text and return it; `run.load()` is its model.

    The arguments are those of `train_events`; `notify` is told what a person should know, in a sentence. Once the first
    step has been taken, Ctrl-C, or a notebook's stop button, ends training after the step that is being taken: the run
    is saved and returned, and `resume` goes on. Of several processes only the first has the run.
    """
    return _whole(train_events(corpus, **settings), notify)


def resume(run: str | os.PathLike[str] | Run, *, notify: Notify = unheard, **settings: Any) -> Run:
    """Go on with a run from its newest checkpoint and return it.

    The arguments are those of `resume_events`; `notify` and Ctrl-C are as of `train`.
    """
    return _whole(resume_events(run, **settings), notify)


def train_events(
    corpus: Corpus,
    *,
    name: str | None = None,
    out: str | Path | None = None,
    init: str | os.PathLike[str] | None = None,
    drop_unused: bool = False,
    vocab: str | Path | None = None,
    min_count: int = 1,
    include: Sequence[str] = (),
    val_file: Corpus = (),
    backend: str | None = None,
    device: str = "auto",
    processes: int | None = None,
    process_id: int | None = None,
    coordinator: str | None = None,
    watch: Watch | None = None,
    began: float | None = None,
    **settings: Any,
) -> Training:
    """Train a new run on a text, event by event: `for event in train_events("corpus.txt", minutes=3): ...`.

    Args:
        corpus: Text files, packed or not, folders, patterns, or "-" for stdin; one or several.
        name: The run's name; by default the text's.
        out: The folder of runs; by default that of CHARRNN_CHECKPOINTS, or `checkpoints`.
        init: A run or checkpoint whose weights the run begins with.
        drop_unused: With `init`: forget the model's characters that the text lacks.
        vocab: A vocabulary file (`charrnn vocab -o`); by default the characters of the text.
        min_count: Characters that are rarer become one unknown symbol.
        include: Of folders, only files whose names match one of these patterns.
        val_file: Another text to validate on; the whole of `corpus` is trained on then.
        backend: "tensorflow" or "jax"; by default that of KERAS_BACKEND, or tensorflow.
        device: "auto", "cpu", "gpu", or one GPU: "gpu:0".
        processes, process_id, coordinator: How many processes train the run together, which of them this is, and the
            HOST:PORT of process 0.
        watch: Is called with the number of bytes of the text that have been read, and of all (None if unknown).
        began: The time, by `time.perf_counter`, from which `minutes` counts; by default now.
        **settings: Any field of `ModelConfig`, `TrainConfig` and `TextConfig`, such as `units=256` or `minutes=3`, and
            `preset="char-rnn"`.

    Returns:
        An iterator of `charrnn.events`, with methods `stop` and `save`; nothing is trained before it is iterated over.

    Raises:
        CharRNNError: A setting, the text or the run's folder cannot be used as asked; or training went wrong again and
            again, or could not be saved at its end. All of that is raised by the iteration, but for the hardware and
            for values of a wrong type.
    """
    check_given(name=name, out=out, init=init, vocab=vocab, watch=watch)
    check_whole("min_count", min_count, least=1)
    sources = Sources(
        names(corpus),
        names(val_file, "val_file"),
        names(include, "include"),
        None if vocab is None else Path(vocab),
        min_count,
        drop_unused,
    )
    where = place(backend, device, processes, process_id, coordinator)
    prepare = partial(
        new_job,
        sources=sources,
        given=settings,
        init=None if init is None else os.fspath(init),
        name=name,
        out=None if out is None else Path(out),
    )
    return Training(prepare, where, watch, began)


def resume_events(
    run: str | os.PathLike[str] | Run,
    *,
    corpus: Corpus = (),
    allow_changed_text: bool = False,
    out: str | Path | None = None,
    backend: str | None = None,
    device: str = "auto",
    processes: int | None = None,
    process_id: int | None = None,
    coordinator: str | None = None,
    watch: Watch | None = None,
    began: float | None = None,
    **settings: Any,
) -> Training:
    """Go on with a run from its newest checkpoint, event by event, exactly as if it had never stopped.

    Args:
        run: The run's name, its folder, or one of its files. From a checkpoint that is not the newest, or a copy of
            one, it goes on in a run of its own; nothing of the old one is touched.
        corpus: Where the text lies now, if elsewhere.
        allow_changed_text: Go on although the text is no longer the same.
        backend: By default that of KERAS_BACKEND, or the one that the run was trained with.
        **settings: A new budget: `epochs`, `steps` or `minutes` mean so many more, from where the run is; without one
            the recorded budget is finished. `lr`, `schedule`, `warmup`, `decay`, `decay_after` begin a new schedule
            there; without them the rate goes on from where it is. `patience`, `eval_every`, `save_every`, `keep`,
            `precision`; and the `name` of a run of its own. The others stay as they are.

    The other arguments, what is returned and what is raised are as of `train_events`.
    """
    named = run.path if isinstance(run, Run) else run
    if named is None:
        raise unfit("run", None, "the name of a run, a path, or a Run")
    check_given(run=named, out=out, watch=watch)
    where = place(backend, device, processes, process_id, coordinator)
    prepare = partial(
        resumed_job,
        name=os.fspath(named),
        corpus=names(corpus),
        allow_changed_text=allow_changed_text,
        out=None if out is None else Path(out),
        given=settings,
    )
    return Training(prepare, where, watch, began)


def _whole(training: Training, notify: Notify) -> Run:
    """Train to the end and return the run, with what its exact evaluation said."""
    check_given(notify=notify)
    evaluations: dict[str, Any] = {}
    with training, _stoppable(training):
        for event in training:
            if isinstance(event, Noticed):
                notify(event.message)
            elif isinstance(event, Measured):
                evaluations[event.part] = event.evaluation
    assert training.run is not None
    return replace(run_of(training.run), **evaluations)


@contextmanager
def _stoppable(training: Training) -> Iterator[None]:
    """Let the first SIGINT stop training after its step, saved; any other raises KeyboardInterrupt as ever."""
    before = signal.getsignal(signal.SIGINT)
    # What the parent had ignored stays so, and what Python did not set it cannot put back.
    if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        if training.is_stepping:
            training.stop()
        else:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _show_settings(function: Any, shown: Any) -> None:
    """Let help() and notebooks show the arguments of `shown` for a function, each setting among them."""
    own = [parameter for parameter in inspect.signature(shown).parameters.values() if parameter.name != "settings"]
    settings = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for kind in (ModelConfig, TrainConfig, TextConfig)
        for field in fields(kind)
        if field.default is not MISSING
    ]
    preset = inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
    function.__signature__ = inspect.signature(function).replace(parameters=[*own, preset, *settings])


_show_settings(train, train_events)
_show_settings(train_events, train_events)
