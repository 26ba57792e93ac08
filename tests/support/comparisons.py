"""Comparisons in which fake learners train in this process, with results that the test chooses."""

import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import charrnn.api.session
from charrnn.api import comparing
from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Measured
from charrnn.api.runs import run_of
from charrnn.api.session import Training
from charrnn.api.training import resume_events, train_events
from charrnn.runs import folder
from charrnn.runs.checkpoint import read_header
from support.fake_training import train_fakes

TEXT = "".join(random.Random(0).choices("abcdef \n", k=11_000))
TINY: dict[str, Any] = {"layers": 1, "units": 4, "batch": 4, "seq": 8, "steps": 6, "eval_every": 2, "patience": None}


def compare_fakes(
    monkeypatch: pytest.MonkeyPatch,
    bits: Mapping[str, float] | None = None,
    before_step: Callable[[str, int], None] = lambda run, step: None,
) -> list[str]:
    """Let comparisons train fakes here; return the list of runs that begin or go on, which grows.

    bits: the exact losses by the name of the run; 2 by default. before_step: is called with a run's name and a step,
    from 1; it may raise.
    """
    began: list[str] = []

    def made(learner: Any, training: Training) -> None:
        name = training.run.name if training.run else ""
        learner.spoilt = lambda _, step: before_step(name, step)

    def left(path: Path, corpus: Any, settings: Any, place: Any, held: Any = ()) -> Training | None:
        run = folder.Run(path)
        if run.newest() and run_of(run).validation:
            return None
        began.append(path.name)
        place = {**place, "backend": None}
        if run.newest():
            training = resume_events(path, **place)
        else:
            run.clear()
            training = train_events(corpus, name=path.name, out=path.parent, **settings, **place)
        # As a training in a process of its own has it; this one has no process.
        training.kill = lambda: None
        return training

    def measured(run: Any, data: Any, history: Any) -> Any:
        nats = (bits or {}).get(run.name, 2.0) * math.log(2)
        right = None if data.classes is None else round(100 * (bits or {}).get(run.name, 0.5))
        yield Measured("validation", Evaluation(100, nats, right=right), 100, 100, step=read_header(run.best).step)

    train_fakes(monkeypatch, made)
    monkeypatch.setattr(charrnn.api.session, "measured", measured)
    monkeypatch.setattr(comparing, "training_left", left)
    return began
