"""Whole trainings in which a fake learner stands in for the network: nothing loads a backend, all else is real."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import charrnn.api.session
from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Measured
from charrnn.api.held_out import parts_of
from charrnn.api.session import Training
from charrnn.network.parameters import initial_weights
from charrnn.network.states import named, state_shapes
from charrnn.runs.checkpoint import read_header
from charrnn.runs.folder import Run
from support.trainers import FakeLearner


def train_fakes(monkeypatch: pytest.MonkeyPatch, made: Any = lambda learner, training: None) -> None:
    """Let trainings be of fake learners, of the model and the text that are asked for; `made` is told of each."""
    current: list[Training] = []

    def start(training: Training, job: Any) -> int:
        current[:] = [training]
        return job.shards

    def learner(model: Any, vocab: Any, config: Any, parts: Any, shards: int, weights: Any, engine: str) -> FakeLearner:
        fake = FakeLearner(config)
        fake.weights = dict(weights or initial_weights(model, vocab.size, config.seed))
        fake.shapes, fake.shards = named(state_shapes(model, config.batch)), shards
        fake.steps_per_epoch = len(parts.train) // config.batch // config.seq
        fake.engine = engine
        fake.validates, fake.parts = bool(parts.val), parts
        fake._forget()
        made(fake, current[0])
        return fake

    engine = SimpleNamespace(on_gpu=lambda: False)
    monkeypatch.setattr(charrnn.api.session, "choose", lambda: SimpleNamespace(title="Fake", engine=lambda: engine))
    # Nothing is compiled for a fake.
    monkeypatch.setattr(charrnn.api.session, "choose_engine", lambda *arguments: ("framework", None))
    monkeypatch.setattr(charrnn.api.session, "seconds_needed", lambda *arguments: 0.0)
    monkeypatch.setattr(charrnn.api.session, "measured", _measured)
    monkeypatch.setattr(Training, "_start", start)
    monkeypatch.setitem(sys.modules, "charrnn.training.learner", SimpleNamespace(KerasLearner=learner))


def _measured(run: Run, data: Any, history: Any) -> Iterator[Measured]:
    """Yield made-up figures of the held-out parts."""
    if run.best.is_file():
        for part in parts_of(data):
            yield Measured(part, Evaluation(100, 1.5), 100, 100, step=read_header(run.best).step)
