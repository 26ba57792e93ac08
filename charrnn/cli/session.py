"""One process's share in a training run: its lock, its signals, its view, and the report at its end."""

import hashlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import STARTED, say, show_error
from charrnn.cli.place import Place
from charrnn.cli.signals import Signals
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.checkpoint import Checkpoint
    from charrnn.corpus import Dataset
    from charrnn.runs import Run


@contextmanager
def session(asked: Signals, find: Callable[[], "Run"], where: Place) -> Iterator["Run"]:
    """Find or make a run and hold its lock; one that never took a step leaves no trace, however the process ends.

    Of several processes only the first does; to what the others find they write nothing.
    """
    from charrnn import cache
    from charrnn.durable import sync_folder

    if not where.processes.is_first:
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

    from charrnn.cli import report
    from charrnn.cli.live import View
    from charrnn.runtime.plan import check
    from charrnn.stacks import layers_of

    text, vocab, parts = data.corpus.text, data.corpus.vocab, data.parts
    if text.stdin is not None:
        run.ahead[run.stdin] = text.stdin
    for cell in set(layers_of(model)):
        check(cell)
    processes = where.processes
    quiet = quiet or not processes.is_first
    count = _start_backend(shards, quiet, where)
    if resumed and count != resumed.progress["shards"]:
        say(f"The batch is now cut into {count} parts (it was {resumed.progress['shards']}): sums round otherwise.")
    from charrnn.training.events import Ended, Stepped
    from charrnn.training.loop import Trainer
    from charrnn.training.processes import ends_with_others

    trainer = Trainer(
        run,
        model,
        config,
        vocab,
        parts,
        count,
        data.record,
        resumed,
        text.config,
        weights,
        clock=lambda: perf_counter() - STARTED,
        reserve=report.seconds_needed(model, vocab, parts),
        processes=processes,
    )
    go_on = f"Go on with: charrnn train --resume {report.shell_name(run)}"
    ended = None
    facts: dict[str, Any] = {"text": data.record, "settings": [str(model), str(config), vocab.to_json()]}
    facts["checkpoint"] = resumed and [resumed.progress, {name: _digest(w) for name, w in resumed.weights.items()}]
    with ends_with_others(processes), View(trainer, data, quiet) as view:
        processes.check_alike({what: _digest(json.dumps(fact).encode()) for what, fact in facts.items()})
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
    processes.leave()
    if ended.reason == "interrupted":
        say(f"Stopped after step {ended.step:,}, saved. {go_on}")
        # The signal may have reached another process only.
        raise SystemExit(128 + (asked.received or signal.SIGINT))
    if processes.is_first:
        report.at_the_end(run, trainer, data, ended)


def _digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def _start_backend(shards: int, quiet: bool, where: Place) -> int:
    from charrnn.training import backend, processes
    from charrnn.training.backend import NAMES

    several = where.processes.count > 1
    if not quiet:
        others = f", and waiting for {where.processes.count - 1} other processes" if several else ""
        say(f"Loading {NAMES[backend.chosen()]}{others} …")
    if several:
        processes.end_with(lambda: show_error(processes.lost()))
    return backend.start(shards, device=where.device, processes=where.processes)
