"""Trainers of one tiny run, which no network learns, and what they leave on disk."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.api.replanning import replanned
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.parameters import initial_weights
from charrnn.network.states import named, state_shapes
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, LogPosition
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.events import Stepped
from charrnn.training.learner_protocol import Estimate, State
from charrnn.training.trainer import Trainer

CONFIG = TrainConfig(
    batch=5, seq=6, dropout=0.0, steps=40, warmup=5, eval_every=10, save_every=7, keep=100, patience=None, seed=3,
    optimizer="sgd", lr=0.5,
)  # fmt: skip
MODEL = ModelConfig(cell="rnn", layers=1, units=4)
TEXT = "".join(np.random.default_rng(0).choice(list("abcd \n"), 560, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1]))
VOCAB = Vocabulary.of(TEXT)
CORPUS = CorpusRecord(("text.txt",), "0" * 64, len(TEXT), ())
MINUTES = replace(CONFIG, steps=None, minutes=3.0, eval_every=40, save_every=None)


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeLearner:
    """A learner that learns nothing, but keeps to the contract: what comes next is a function of its state.

    Every loss hears of the weights, of the slots and of the hidden state, so that none can be lost unnoticed.
    `estimates` are answered in turn, if there are any; `counted` tells of each step how many targets count; what is
    `spoilt` is called with the learner and the step's number (from 1) after each step, and may return another loss.
    """

    steps_per_epoch, shards, backend, device, engine = 16, 2, "tensorflow", "cpu", "framework"

    def __init__(self, config: TrainConfig):
        self.weights = initial_weights(MODEL, VOCAB.size, config.seed)
        self.slots = {"000": np.zeros(3, np.float32)}
        self.shapes = named(state_shapes(MODEL, config.batch))
        self.validates = config.val > 0
        self.estimates: list[float | Estimate] = []
        self.counted: Callable[[int], int | None] = lambda number: None
        self.spoilt: Callable[[FakeLearner, int], float | None] = lambda learner, number: None
        self.pay: Callable[[str], None] = lambda what: None
        self._forget()

    def _forget(self) -> None:
        self.hidden = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}

    def _felt(self, *parts: dict[str, np.ndarray]) -> float:
        return math.tanh(sum(float(array.sum(dtype=np.float64)) for part in parts for array in part.values()))

    def step(self, number: int, rate: float) -> tuple[float, int | None]:
        if number % self.steps_per_epoch == 0:
            self._forget()
        self.pay("step")
        nats = 2.0 + 0.2 * self._felt(self.weights, self.slots, self.hidden)
        self.hidden = {name: 0.5 * array + np.float32(math.sin(number)) for name, array in self.hidden.items()}
        self.slots = {name: 0.9 * array + np.float32(0.1 * nats) for name, array in self.slots.items()}
        change = np.float32(rate * 0.01 * math.cos(number))
        self.weights = {name: array + change for name, array in self.weights.items()}
        other = self.spoilt(self, number + 1)
        return nats if other is None else other, self.counted(number)

    def estimate(self) -> Estimate | None:
        if not self.validates:
            return None
        self.pay("estimate")
        nats = self.estimates.pop(0) if self.estimates else 2.0 + 0.2 * self._felt(self.weights)
        return nats if isinstance(nats, Estimate) else Estimate(nats)

    def read(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self.weights.items()}

    def gradient_norms(self, number: int) -> dict[str, float]:
        return {name: 1.0 + number for name in self.weights}

    def state(self) -> State:
        return State(*({name: array.copy() for name, array in part.items()} for part in self._parts()))

    def restore(self, state: State) -> None:
        self.weights, self.slots, self.hidden = (dict(part) for part in state)

    def _parts(self) -> tuple[dict[str, np.ndarray], ...]:
        return self.weights, self.slots, self.hidden


def make_trainer(
    path: Path, config: TrainConfig = CONFIG, resumed: Checkpoint | None = None, **settings: Any
) -> Trainer:
    """Return a trainer of a new run, or one that goes on from a checkpoint."""
    path.mkdir(exist_ok=True)
    settings = {"clock": Clock(), **settings}
    return Trainer(Run(path), FakeLearner(config), MODEL, VOCAB, config, CORPUS, resumed=resumed, **settings)


def resume(path: Path, step: int, config: TrainConfig | None = None, **settings: Any) -> Trainer:
    """Return a trainer that goes on from a step, with a config that has the same plan, or its own."""
    checkpoint = read_checkpoint(path / f"step-{step:08d}.safetensors", training=True)
    return make_trainer(path, config or checkpoint.training, checkpoint, **settings)


def resume_with(path: Path, step: int, changed: dict[str, Any], **settings: Any) -> Trainer:
    """Return a trainer that goes on from a step with what changes the plan."""
    checkpoint = read_checkpoint(path / f"step-{step:08d}.safetensors", training=True)
    config, progress, _ = replanned(checkpoint.training, checkpoint.progress, changed, FakeLearner.steps_per_epoch)
    return make_trainer(path, config, replace(checkpoint, progress=progress), new_plan=True, **settings)


def after(trainer: Trainer, action: Callable[[Stepped], None]) -> Iterable:
    """Yield the trainer's events, with `action` called at each step."""
    for event in trainer.events():
        if isinstance(event, Stepped):
            action(event)
        yield event


def of(kind: type, events: Iterable) -> list:
    """Return the events of one kind."""
    return [event for event in events if isinstance(event, kind)]


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


def timed(trainer: Trainer, step: float = 1.0, estimate: float = 2.0, compiling: float = 10.0) -> Trainer:
    """Let the trainer's clock move by what its steps and estimates cost; the first of each compiles."""
    costs, new = {"step": step, "estimate": estimate}, {"step", "estimate"}

    def pay(what: str) -> None:
        trainer.clock.now += costs[what] + (compiling if what in new else 0.0)
        new.discard(what)

    trainer.learner.pay = pay
    return trainer
