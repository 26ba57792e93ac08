"""Commands that train, without the training: all that comes before a backend is loaded."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from charrnn.api.session import Job, Training
from charrnn.training.events import Ended


def train_nothing(monkeypatch: pytest.MonkeyPatch, instead: Callable[[Job], Any] = lambda job: None) -> None:
    """Let what trains stop where a backend would be loaded; `instead` is given what there was to do."""

    def train(training: Training, job: Job):  # type: ignore[no-untyped-def]
        instead(job)
        training.ended, training._trainer = Ended("budget", 0), SimpleNamespace(history=[])
        yield from ()

    monkeypatch.setattr(Training, "_train", train)
    monkeypatch.setattr("charrnn.api.session.measured", lambda *arguments: iter(()))
