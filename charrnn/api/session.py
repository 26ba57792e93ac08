"""One process's share in a training run: its lock, its signals, its view, and the report at its end."""

import hashlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from charrnn.api.datasets import corpus_record
from charrnn.api.place import Place
from charrnn.cli.console import STARTED, say, show_error
from charrnn.cli.signals import Signals, show_cursor
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.data.corpus import Dataset
    from charrnn.runs.checkpoint import Checkpoint
    from charrnn.runs.folder import Run
    from charrnn.runs.progress import Progress
    from charrnn.training.events import Ended
    from charrnn.training.trainer import Trainer


@contextmanager
def session(asked: Signals, find: Callable[[], "Run"], where: Place) -> Iterator["Run"]:
    """Find or make a run and hold its lock; one that never took a step leaves no trace, however the process ends.

    Of several processes only the first does; to what the others find they write nothing.
    """
    from charrnn.atomic import sync_folder
    from charrnn.text import cache

    if not where.processes.is_first:
        asked.tidy = cache.tidy
        yield find()
        return

    def tidy() -> None:
        cache.tidy()
        run.abandon()

    # A signal between the making of the folder and the order to tidy it up would leave it.
    with asked.held_back():
        run = find()
        asked.tidy = tidy
        try:
            run.lock.acquire()
        except CharRNNError:
            run.abandon()
            raise
    try:
        if run.is_new:
            # Its name is to last as well; where the parent may not be read, that is the file system's affair.
            with suppress(OSError):
                sync_folder(run.path.parent)
        yield run
    finally:
        run.abandon()


def train_run(
    run: "Run",
    model: ModelConfig,
    config: TrainConfig,
    data: "Dataset",
    shards: int,
    resumed: "Checkpoint | None",
    quiet: bool,
    asked: Signals,
    where: Place,
    weights: "Mapping[str, np.ndarray] | None" = None,
) -> None:
    """Train, show it, and report."""
    from time import perf_counter

    from charrnn.cli.views import report
    from charrnn.inference.plan import check
    from charrnn.network.stacks import layers_of
    from charrnn.training.backends import start as backend
    from charrnn.training.backends.jax.distributed import ends_with_others

    text, vocab, parts = data.corpus.text, data.corpus.vocab, data.parts
    if text.stdin is not None:
        run.ahead[run.stdin] = text.stdin
    for cell in set(layers_of(model)):
        check(cell)
    processes = where.processes
    quiet = quiet or not processes.is_first
    with ends_with_others(processes):
        count = backend.cut(config.batch, _start_backend(shards, quiet, where, asked), processes.count)
        from charrnn.training.backends.engine import on_gpu
        from charrnn.training.learner import KerasLearner
        from charrnn.training.trainer import Trainer

        if processes.count > 1:
            processes.check_alike(_facts(model, config, data, resumed, weights))
        if on_gpu() and not quiet:
            say(f"Training on {count} GPU{'' if count == 1 else 's'}.")
        if resumed and resumed.progress:
            _tell_of_rounding(resumed.progress, "gpu" if on_gpu() else "cpu", count)
        learner = KerasLearner(model, vocab, config, parts, count, resumed.weights if resumed else weights)
        trainer = Trainer(
            run,
            learner,
            model,
            vocab,
            config,
            corpus_record(data),
            text.config,
            resumed,
            clock=lambda: perf_counter() - STARTED,
            reserve=report.seconds_needed(model, vocab, parts) if processes.is_first else 0.0,
            processes=processes,
        )
        ended = _watch(trainer, data, quiet, asked)
        processes.leave()
    if ended.reason == "interrupted":
        say(f"Stopped after step {ended.step:,}, saved. {report.go_on(run)}")
        # The signal may have reached another process only.
        raise SystemExit(128 + (asked.received or signal.SIGINT))
    if processes.is_first:
        report.at_the_end(run, trainer, data, ended)


def _tell_of_rounding(before: "Progress", device: str, count: int) -> None:
    """Say why a resumed run will not be the same to the bit, if it will not."""
    until_now = before.device or "cpu"
    if device != until_now:
        say(f"Until now it was trained on a {until_now}: a {device} rounds otherwise.")
    elif count != before.shards:
        say(f"The batch is now cut into {count} parts (it was {before.shards}): sums round otherwise.")


def _watch(trainer: "Trainer", data: "Dataset", quiet: bool, asked: Signals) -> "Ended":
    """Let a trainer train, show what happens, and have signals reach it; return how it ended."""
    from charrnn.cli.views import report
    from charrnn.cli.views.live import View
    from charrnn.training.events import Ended, Stepped

    run, ended = trainer.run, None
    with View(trainer, data, quiet) as view:
        for event in trainer.events():
            view.show(event)
            if isinstance(event, Stepped) and asked.trainer is None:
                asked.trainer = trainer
                asked.last_words = lambda: (
                    report.go_on(run) if run.newest() else "Interrupted before anything was saved."
                )
            elif isinstance(event, Ended):
                ended = event
                asked.trainer = None
                asked.last_words = lambda: f"The run is saved. Sample from it: charrnn sample {report.shell_name(run)}"
            if not trainer.processes.is_first:
                asked.last_words = lambda: "Interrupted: process 0 says what is saved."
    assert ended is not None
    return ended


def _facts(
    model: ModelConfig,
    config: TrainConfig,
    data: "Dataset",
    resumed: "Checkpoint | None",
    weights: "Mapping[str, np.ndarray] | None",
) -> dict[str, str]:
    """Return digests of all that several processes must have alike; where a text lies may differ."""
    facts: dict[str, Any] = {
        "text": [data.corpus.text.sha256, data.validation is not None and data.validation.text.sha256],
        "settings": [*map(str, (model, config, data.corpus.text.config)), data.corpus.vocab.to_json()],
        "checkpoint": resumed and resumed.progress and resumed.progress.to_json(),
        "weights": {name: _digest(w) for name, w in ((resumed and resumed.weights) or weights or {}).items()},
    }
    return {what: _digest(json.dumps(fact).encode()) for what, fact in facts.items()}


def _digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def _start_backend(shards: int, quiet: bool, where: Place, asked: Signals) -> int:
    from charrnn.training.backends import start as backend
    from charrnn.training.backends.choice import choose
    from charrnn.training.backends.jax import distributed as processes

    several = where.processes.count > 1
    if not quiet:
        others = where.processes.count - 1
        waiting = f", and waiting for {others} other process{'' if others == 1 else 'es'}" if several else ""
        say(f"Loading {choose().title}{waiting} …")

    def last_words() -> None:
        asked.tidy()
        show_cursor()
        show_error(processes.lost())

    if several:
        processes.end_with(last_words)
    return backend.start(shards, device=where.device, processes=where.processes)
