"""Promise 13: a number that is none is never saved; training goes back, lowers the rate, and gives up in the end."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.parts import Part
from charrnn.data.splits import split
from charrnn.errors import CharRNNError
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Stability
from charrnn.runs.verify import fault
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import divergence as guard
from charrnn.training.events import Ended, RolledBack, Stepped
from charrnn.training.trainer import Trainer
from support.tally import Tally, share

CONFIG = TrainConfig(batch=4, seq=6, dropout=0.0, steps=40, eval_every=10, keep=2, patience=None, lr=0.01)
MODEL = ModelConfig(cell="rnn", layers=1, units=4)
TEXT = "".join(np.random.default_rng(0).choice(list("abcd \n"), 560))
Injection = Callable[[Trainer], None]


def make_trainer(path: Path, config: TrainConfig = CONFIG) -> Trainer:
    path.mkdir(exist_ok=True)
    vocab = Vocabulary.of(TEXT)
    parts = split(Part(vocab.encode(TEXT)), config)
    return Trainer(Run(path), MODEL, config, vocab, parts, 1, CorpusRecord((), "0" * 64, len(TEXT)))


def inject(trainer: Trainer, kind: str, steps: set[int], forever: bool = False) -> list[int]:
    """Spoil the trainer at some steps (from 1), once each unless `forever`; return the list of what has been spoilt."""
    real, spoilt = trainer.train_step, []

    def train_step(window, states, step, rate):
        loss, after = real(window, states, step, rate)
        if step + 1 in steps and (forever or step + 1 not in spoilt):
            spoilt.append(step + 1)
            if kind == "loss":
                return math.nan, after
            if kind == "leap":
                return float(loss) + 100.0, after
            if kind == "gradient":
                # What an update with such a gradient makes of every weight it reaches.
                gradients = [np.full(v.shape, np.nan, np.float32) for v in trainer.net.parameters.values()]
                trainer.optimizer.apply(gradients, list(trainer.net.parameters.values()))
            if kind == "slot":
                # Seen by nobody before the next update: a save at this step is all that could notice.
                trainer.optimizer.variables[-1].assign(np.full(trainer.optimizer.variables[-1].shape, np.nan))
            if kind == "weight":
                variable = trainer.net.parameters["layer0/U"]
                value = np.array(variable)
                value[0, 0] = np.inf
                variable.assign(value)
        return loss, after

    trainer.train_step = train_step
    return spoilt


@pytest.mark.promise(13)
@pytest.mark.parametrize("kind", ["loss", "gradient", "weight", "slot", "leap"])
def test_training_goes_back_and_on(kind: str, tmp_path: Path, tally: Tally) -> None:
    rng = random.Random(kind)
    for number in range(share(2, 13)):
        path = tmp_path / str(number)
        # A leap is judged once losses have settled; the others at any step, the one of an evaluation included.
        at = rng.randint(25, 39) if kind == "leap" else rng.choice([1, 10, 40, rng.randint(2, 39)])
        config = replace(CONFIG, steps=400, eval_every=100) if kind == "leap" else CONFIG
        at = {"leap": 10 * at, "slot": rng.choice([10, 20, 30, 40])}.get(kind, at)
        trainer = make_trainer(path, config)
        spoilt = inject(trainer, kind, {at})
        events = list(trainer.events())
        back = [event for event in events if isinstance(event, RolledBack)]
        tally.inject(landed=spoilt == [at])
        tally.check(len(back) == 1 and back[0].step < at and back[0].rate_scale == guard.LOWER, f"{kind} {at}: {back}")
        tally.check(events[-1] == Ended("budget", config.steps), f"{kind} at {at}: {events[-1]}")
        for file in (*trainer.run.checkpoints(), trainer.run.best):
            tally.check(fault(file) is None, f"{kind} at {at}: {fault(file)}")
        records = [json.loads(line) for line in trainer.run.log.path.read_text().splitlines()]
        noted = [record for record in records if "rollback" in record]
        tally.check(len(noted) == 1 and noted[0]["step"] == back[0].step, f"{kind} at {at}: {noted}")
        taken = [record["step"] for record in records if "rollback" not in record]
        tally.check(taken == sorted(set(taken)), f"{kind} at {at}: steps {taken}")


@pytest.mark.promise(13)
@pytest.mark.parametrize("kind", ["loss", "gradient", "weight"])
def test_it_gives_up_after_a_bounded_number_of_tries(kind: str, tmp_path: Path, tally: Tally) -> None:
    trainer = make_trainer(tmp_path / "run")
    spoilt = inject(trainer, kind, {15}, forever=True)
    back = []
    with pytest.raises(CharRNNError, match=r"went wrong 6 times in a row.*step-00000010\.safetensors is the last good"):
        for event in trainer.events():
            if isinstance(event, RolledBack):
                back.append(event.rate_scale)
    tally.inject(landed=len(spoilt) == guard.TRIES + 1)
    tally.check(back == [guard.LOWER**n for n in range(1, guard.TRIES + 1)], str(back))
    for file in trainer.run.checkpoints():
        tally.check(fault(file) is None, str(fault(file)))


def test_a_rollback_lowers_the_rate_of_the_steps_after_it(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, schedule="constant"))
    inject(trainer, "loss", {15})
    rates = [event.learning_rate for event in trainer.events() if isinstance(event, Stepped)]
    assert rates == [0.01] * 14 + [0.005] * 30


def test_a_rollback_is_on_disk_before_the_next_step(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    inject(trainer, "loss", {15})
    for event in trainer.events():
        if isinstance(event, RolledBack):
            break
    from charrnn.runs.checkpoint import read_checkpoint

    resumed = read_checkpoint(trainer.run.newest(), training=True)
    assert (resumed.step, resumed.progress.stability.rate_scale, resumed.progress.stability.rollbacks) == (10, 0.5, 1)
    through = list(trainer.events())
    again = Trainer(
        Run(tmp_path / "run"),
        MODEL,
        CONFIG,
        trainer.vocab,
        split(Part(trainer.vocab.encode(TEXT)), CONFIG),
        1,
        CorpusRecord((), "0" * 64, len(TEXT)),
        resumed,
    )
    losses = [[e.nats for e in events if isinstance(e, Stepped)] for events in (through, list(again.events()))]
    assert losses[0] == losses[1] and len(losses[0]) == 30


def test_a_leap_that_is_in_the_text_is_passed_by(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=400, eval_every=100))
    spoilt = inject(trainer, "leap", {350}, forever=True)
    events = list(trainer.events())
    assert len([event for event in events if isinstance(event, RolledBack)]) == 1
    assert spoilt == [350, 350] and events[-1] == Ended("budget", 400)


@pytest.mark.parametrize("step, leaps", [(2, False), (400, True)])
def test_a_leap_is_judged_by_how_far_losses_stray(step, leaps):
    known, rng = Stability(), np.random.default_rng(0)
    for now in range(1, step):
        known = guard.watch(known, now, 2.0 + 0.05 * rng.normal())
    if leaps:
        with pytest.raises(guard.Diverged, match=r"leapt from about 2\.0\d to 3\.50 nats at step 400"):
            guard.watch(known, step, 3.5)
    else:
        guard.watch(known, step, 3.5)
    guard.watch(known, step, 2.9)
