"""One process's share in a training run: its lock, its signals, its view, and the report at its end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from charrnn.cli.console import STARTED, say
from charrnn.cli.signals import Signals
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.checkpoint import Checkpoint
    from charrnn.corpus import Dataset
    from charrnn.runs import Run


@contextmanager
def session(asked: Signals, find: Callable[[], "Run"]) -> Iterator["Run"]:
    """Find or make a run and hold its lock; one that never took a step leaves no trace, however the process ends."""
    from charrnn import cache
    from charrnn.durable import sync_folder

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
    weights: "Mapping[str, np.ndarray] | None" = None,
) -> None:
    """Train, show it, and report."""
    from time import perf_counter

    from charrnn.cli import report
    from charrnn.cli.live import View
    from charrnn.runtime.plan import check
    from charrnn.stacks import layers_of

    text, vocab, parts = data.corpus.text, data.corpus.vocab, data.parts
    if text.stdin is not None:
        run.ahead[run.stdin] = text.stdin
    for cell in set(layers_of(model)):
        check(cell)
    _start_backend(shards, quiet)
    from charrnn.training.events import Ended, Stepped
    from charrnn.training.loop import Trainer

    trainer = Trainer(
        run,
        model,
        config,
        vocab,
        parts,
        shards,
        data.record,
        resumed,
        text.config,
        weights,
        clock=lambda: perf_counter() - STARTED,
        reserve=report.seconds_needed(model, vocab, parts),
    )
    go_on = f"Go on with: charrnn train --resume {report.shell_name(run)}"
    ended = None
    with View(trainer, data, quiet) as view:
        for event in trainer.events():
            view.show(event)
            if isinstance(event, Stepped) and asked.trainer is None:
                asked.trainer = trainer
                asked.last_words = lambda: go_on if run.newest() else "Interrupted before anything was saved."
            elif isinstance(event, Ended):
                ended = event
                asked.trainer = None
                asked.last_words = lambda: f"The run is saved. Sample from it: charrnn sample {report.shell_name(run)}"
    assert ended is not None
    if ended.reason == "interrupted":
        assert asked.received is not None
        say(f"Stopped after step {ended.step:,}, saved. {go_on}")
        raise SystemExit(128 + asked.received)
    report.at_the_end(run, trainer, data, ended)


def _start_backend(shards: int, quiet: bool) -> None:
    from charrnn.training import backend
    from charrnn.training.backend import NAMES

    if not quiet:
        say(f"Loading {NAMES[backend.chosen()]} …")
    backend.start(shards)
