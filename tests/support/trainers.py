"""Trainers of one tiny run, and what they leave on disk."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.parts import Part
from charrnn.data.splits import split
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, LogPosition
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.events import Stepped
from charrnn.training.trainer import Trainer
from support.shards import shards_of

# 5 streams, with TensorFlow in shards of 2 and 3; 16 steps an epoch.
CONFIG = TrainConfig(
    batch=5, seq=6, dropout=0.3, steps=40, warmup=5, eval_every=10, save_every=7, keep=100, patience=None, seed=3
)
MODEL = ModelConfig(cell="lstm", layers=2, units=6)
SHARDS = shards_of(5, 2).count
# For what does not depend on the model: it is compiled in a fifth of the time.
QUICK = replace(CONFIG, dropout=0.0, optimizer="sgd", lr=0.5)
SMALL = ModelConfig(cell="rnn", layers=1, units=4)
TEXT = "".join(np.random.default_rng(0).choice(list("abcd \n"), 560, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1]))
MINUTES = replace(QUICK, steps=None, minutes=3.0, eval_every=40, save_every=None)


CORPUS = CorpusRecord(("text.txt",), "0" * 64, len(TEXT), ())


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_trainer(
    path: Path, config: TrainConfig = QUICK, model: ModelConfig = SMALL, resumed: Checkpoint | None = None, **settings
) -> Trainer:
    """Return a trainer of a new run, or one that goes on from a checkpoint; several shards but for the quick model."""
    path.mkdir(exist_ok=True)
    vocab = Vocabulary.of(TEXT)
    parts = split(Part(vocab.encode(TEXT)), config)
    settings = {"clock": Clock(), **settings}
    shards = 1 if model == SMALL else SHARDS
    return Trainer(Run(path), model, config, vocab, parts, shards, CORPUS, resumed, **settings)


def resume(path: Path, step: int, config: TrainConfig | None = None, **settings) -> Trainer:
    checkpoint = read_checkpoint(path / f"step-{step:08d}.safetensors", training=True)
    return make_trainer(path, config or checkpoint.training, checkpoint.model, checkpoint, **settings)


def after(trainer: Trainer, action: Callable[[Stepped], None]) -> Iterable:
    """Yield the trainer's events, with `action` called at each step."""
    for event in trainer.events():
        if isinstance(event, Stepped):
            action(event)
        yield event


def steps(run: Run) -> list[int]:
    return [int(path.name[5:13]) for path in run.checkpoints()]


def last(run: Run) -> Checkpoint:
    return read_checkpoint(run.newest(), training=True)


def metrics(path: Path) -> list[dict]:
    """Return the lines of the log, seconds aside."""
    return [
        {key: value for key, value in json.loads(line).items() if key != "seconds"}
        for line in (path / "metrics.jsonl").read_text().splitlines()
    ]


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    """Assert that two checkpoints are the same to the bit, the time they were written at aside."""
    for part in ("weights", "slots", "state"):
        arrays, others = getattr(one, part), getattr(other, part)
        assert arrays.keys() == others.keys() and arrays
        for name, array in arrays.items():
            assert array.dtype == others[name].dtype and array.tobytes() == others[name].tobytes(), (part, name)
    untimed = [replace(c.progress, seconds=0.0, metrics=LogPosition()) for c in (one, other)]
    assert untimed[0] == untimed[1]
    without_seconds = [[{**record, "seconds": 0} for record in c.history] for c in (one, other)]
    assert without_seconds[0] == without_seconds[1]
    assert (one.model, one.training, one.vocab) == (other.model, other.training, other.vocab)


def timed(trainer: Trainer, per_step: float = 1.0, per_estimate: float = 2.0, compiling: float = 10.0) -> Trainer:
    """Let the trainer's fake clock move by what its steps and estimates cost; the first of each compiles."""
    clock = trainer.clock

    def slowed(inner: Callable, cost: float) -> Callable:
        extra = [compiling]

        def run(*arguments):
            clock.now += cost + (extra.pop() if extra else 0.0)
            return inner(*arguments)

        return run

    trainer.train_step = slowed(trainer.train_step, per_step)
    trainer.validation.estimate = slowed(trainer.validation.estimate, per_estimate)
    return trainer
