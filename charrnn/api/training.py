"""Training of a new run, or of one that is resumed; at once, or event by event."""

import inspect
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
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
from charrnn.api.settings import NAMES
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.text.reader import Watch


def train(corpus: Corpus, *, notify: Notify = unheard, **settings: Any) -> Run:
    """Train a new run on a text and return it; `run.load()` returns its model.

    The arguments are those of `train_events`. `notify` is called with each message for the user. After the
    first step, Ctrl-C (or the stop button of a notebook) ends training when the current step is done: the run is saved
    and returned, and `resume` continues it. If several processes train together, only the first one writes the run.
    """
    return _whole(train_events(corpus, **settings), notify)


def resume(run: str | os.PathLike[str] | Run, *, notify: Notify = unheard, **settings: Any) -> Run:
    """Continue a run from its newest checkpoint and return it.

    The arguments are those of `resume_events`; `notify` and Ctrl-C work as in `train`.
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
    engine: str = "auto",
    processes: int | None = None,
    process_id: int | None = None,
    coordinator: str | None = None,
    watch: Watch | None = None,
    began: float | None = None,
    **settings: Any,
) -> Training:
    """Train a new run on a text, event by event: `for event in train_events("corpus.txt", minutes=3): ...`.

    Args:
        corpus: Text files (compressed or not), folders, patterns, or "-" for stdin; one or several.
        name: The run's name; by default that of the text.
        out: The folder of runs; by default the one that CHARRNN_CHECKPOINTS names, or `checkpoints`.
        init: A run or checkpoint; training starts from its weights.
        drop_unused: With `init`: remove the model's characters that do not occur in the text.
        vocab: A vocabulary file (`charrnn vocab -o`); by default the characters of the text.
        min_count: Characters that occur fewer times than this become one unknown symbol.
        include: In folders, read only files whose names match one of these patterns.
        val_file: Another text for validation; then no part of `corpus` is used for it.
        backend: "tensorflow" or "jax"; by default the one that KERAS_BACKEND names, or tensorflow.
        device: "auto", "cpu", "gpu", or one GPU: "gpu:0".
        engine: What computes the cells: "compiled" code for this processor or GPU, or the "framework". "auto" compiles
            them where it can: not with `precision="bf16"` on a processor, nor with TensorFlow on a GPU.
        processes, process_id, coordinator: How many processes train the run together, the number of this process
            (from 0), and the HOST:PORT of process 0.
        watch: A function; it is called with the number of bytes of the text read so far, and of all (None if unknown).
        began: The time (`time.perf_counter`) from which `minutes` counts; by default now.
        **settings: Any field of `ModelConfig`, `TrainConfig` and `TextConfig`, such as `units=256` or `minutes=3`, and
            `preset="char-rnn"`.

    Returns:
        An iterator of `charrnn.events`, with the methods `stop` and `save`. Training starts when you iterate over it.

    Raises:
        CharRNNError: A setting, the text or the run's folder cannot be used; or training failed repeatedly, or could
            not be saved at its end. The iteration raises these errors. Only errors of the hardware and values of a
            wrong type are raised by the call itself.
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
    where = place(backend, device, processes, process_id, coordinator, engine)
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
    engine: str = "auto",
    processes: int | None = None,
    process_id: int | None = None,
    coordinator: str | None = None,
    watch: Watch | None = None,
    began: float | None = None,
    **settings: Any,
) -> Training:
    """Continue a run from its newest checkpoint, event by event, exactly as if it had never stopped.

    Args:
        run: The run's name, its folder, or one of its files. From a checkpoint that is not the newest, or from a copy
            of one, training continues in a new run; the old run is not changed.
        corpus: The place of the text, if it was moved.
        allow_changed_text: Continue although the text has changed.
        backend: By default the one that KERAS_BACKEND names, or the one that the run was trained with.
        engine: By default ("auto") the one that the run was trained with.
        **settings: A new budget: `epochs`, `steps` or `minutes` are additional, counted from the current step; without
            one, the recorded budget is finished. `lr`, `schedule`, `warmup`, `decay`, `decay_after` begin a new
            schedule at the current step; without them the learning rate continues from where it is. `patience`,
            `eval_every`, `save_every`, `keep` and `precision` can be changed too. `name` is the name of a new run, if
            there is one. All other settings stay as they are.

    The other arguments, the result and the errors are those of `train_events`.
    """
    named = run.path if isinstance(run, Run) else run
    if named is None:
        raise unfit("run", None, "the name of a run, a path, or a Run")
    check_given(run=named, out=out, watch=watch)
    where = place(backend, device, processes, process_id, coordinator, engine)
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
    """Train to the end and return the run, with its exact evaluations."""
    check_given(notify=notify)
    evaluations: dict[str, Any] = {}
    with training, stoppable(training):
        for event in training:
            if isinstance(event, Noticed):
                notify(event.message)
            elif isinstance(event, Measured):
                evaluations[event.part] = event.evaluation
    assert training.run is not None
    return replace(run_of(training.run), **evaluations)


@contextmanager
def stoppable(training: Any) -> Iterator[None]:
    """Let the first SIGINT end training after the current step, saved; any other raises KeyboardInterrupt as usual.

    training: has `is_stepping` and `stop`.
    """
    before = signal.getsignal(signal.SIGINT)
    # If the parent process ignored SIGINT, it stays ignored. Python cannot restore a handler that it did not set.
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
    """Let help() and notebooks show the arguments of `shown` for a function, including each setting."""
    own = [parameter for parameter in inspect.signature(shown).parameters.values() if parameter.name != "settings"]
    settings = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for kind in (ModelConfig, TrainConfig, TextConfig)
        for field in fields(kind)
        if field.name in NAMES
    ]
    preset = inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
    function.__signature__ = inspect.signature(function).replace(parameters=[*own, preset, *settings])


_show_settings(train, train_events)
_show_settings(train_events, train_events)
