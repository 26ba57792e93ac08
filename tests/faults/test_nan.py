"""Promise 13: a number that is not finite is never saved; training goes back, lowers the rate, and gives up in the end.

A fake learner stands in for the network; what a rollback restores of a real one is in tests/training/test_learner.py.
"""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import charrnn.training.divergence as guard
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.progress import Stability
from charrnn.runs.verify import fault
from charrnn.training.events import Ended, RolledBack, Stepped
from charrnn.training.trainer import Trainer
from support.tally import Tally, share
from support.trainers import CONFIG as TRAINED
from support.trainers import FakeLearner, make_trainer, of, resume

CONFIG = replace(TRAINED, save_every=None, keep=2, lr=0.01)


def inject(trainer: Trainer, kind: str, steps: set[int], forever: bool = False) -> list[int]:
    """Spoil the learner at some steps (from 1), once each unless `forever`; return the list of what has been spoilt."""
    spoilt: list[int] = []

    def spoil(learner: FakeLearner, step: int) -> float | None:
        if step not in steps or (step in spoilt and not forever):
            return None
        spoilt.append(step)
        if kind == "gradient":
            # What an update with such a gradient makes of every weight.
            learner.weights = {name: np.full_like(array, np.nan) for name, array in learner.weights.items()}
        if kind == "slot":
            # Seen by no loss before the next update: a save at this step is all that could notice.
            learner.slots["000"][-1] = np.nan
        if kind == "state":
            learner.hidden["layer0/h"][0, 0] = np.inf
        if kind == "weight":
            learner.weights["layer0/U"][0, 0] = np.inf
        return {"loss": math.nan, "leap": 102.0}.get(kind)

    trainer.learner.spoilt = spoil
    return spoilt


@pytest.mark.promise(13)
@pytest.mark.parametrize("kind", ["loss", "gradient", "weight", "slot", "state", "leap"])
def test_training_goes_back_and_on(kind: str, tmp_path: Path, tally: Tally) -> None:
    rng = random.Random(kind)
    for number in range(share(5, 13)):
        path = tmp_path / str(number)
        # A leap is judged once losses have settled; the others at any step, the one of an evaluation included.
        at = rng.randint(25, 39) if kind == "leap" else rng.choice([1, 10, 40, rng.randint(2, 39)])
        config = replace(CONFIG, steps=400, eval_every=100) if kind == "leap" else CONFIG
        at = {"leap": 10 * at, "slot": rng.choice([10, 20, 30, 40]), "state": rng.choice([10, 20, 30, 40])}.get(
            kind, at
        )
        trainer = make_trainer(path, config)
        spoilt = inject(trainer, kind, {at})
        events = list(trainer.events())
        back = of(RolledBack, events)
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
    trainer = make_trainer(tmp_path / "run", CONFIG)
    spoilt = inject(trainer, kind, {15}, forever=True)
    back = []
    with pytest.raises(CharRNNError, match=r"diverged 6 times in a row.*step-00000010\.safetensors is the last good"):
        for event in trainer.events():
            if isinstance(event, RolledBack):
                back.append(event.rate_scale)
    tally.inject(landed=len(spoilt) == guard.TRIES + 1)
    tally.check(back == [guard.LOWER**n for n in range(1, guard.TRIES + 1)], str(back))
    for file in trainer.run.checkpoints():
        tally.check(fault(file) is None, str(fault(file)))


def test_an_evaluation_that_is_not_finite_counts_no_gain(tmp_path):
    trainer = make_trainer(tmp_path / "run", CONFIG)
    trainer.learner.estimates = [2.0, math.nan, 1.9, 1.8, 1.7]
    events = list(trainer.events())
    (back,) = of(RolledBack, events)
    assert back.step == 10 and "validation loss became nan at step 20" in back.why
    assert events[-1] == Ended("budget", 40) and read_checkpoint(trainer.run.best).step == 40


def test_a_gain_gives_new_tries(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=90))
    trainer.learner.estimates = [9.0 - n for n in range(9)]
    spoilt = inject(trainer, "loss", {step + 5 for step in range(10, 90, 10)})
    back = of(RolledBack, trainer.events())
    # Eight in all, but never two without a gain between; the rate stays low.
    assert len(back) == len(spoilt) == 8 > guard.TRIES
    assert [event.rate_scale for event in back] == [guard.LOWER ** (n + 1) for n in range(8)]


def test_a_rollback_lowers_the_rate_of_the_steps_after_it(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, schedule="constant"))
    inject(trainer, "loss", {15})
    rates = [event.learning_rate for event in of(Stepped, trainer.events())]
    assert rates == [0.01] * 14 + [0.005] * 30


def test_a_rollback_is_on_disk_before_the_next_step(tmp_path):
    trainer = make_trainer(tmp_path / "run", CONFIG)
    inject(trainer, "loss", {15})
    events = trainer.events()
    for event in events:
        if isinstance(event, RolledBack):
            break
    resumed = read_checkpoint(trainer.run.newest(), training=True)
    assert (resumed.step, resumed.progress.stability.rate_scale, resumed.progress.stability.rollbacks) == (10, 0.5, 1)
    again = resume(tmp_path / "run", 10)
    losses = [[event.nats for event in of(Stepped, each)] for each in (again.events(), events)]
    assert losses[0] == losses[1] and len(losses[0]) == 30


def test_a_leap_that_is_in_the_text_is_passed_by(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=400, eval_every=100))
    spoilt = inject(trainer, "leap", {350}, forever=True)
    events = list(trainer.events())
    assert len(of(RolledBack, events)) == 1
    assert spoilt == [350, 350] and events[-1] == Ended("budget", 400)


@pytest.mark.parametrize("step, leaps", [(2, False), (400, True)])
def test_a_leap_is_judged_by_how_far_losses_stray(step, leaps):
    known, rng = Stability(), np.random.default_rng(0)
    for now in range(1, step):
        known = guard.watch(known, now, 2.0 + 0.05 * rng.normal())
    if leaps:
        with pytest.raises(guard.Diverged, match=r"jumped from about 2\.0\d to 3\.50 nats at step 400"):
            guard.watch(known, step, 3.5)
    else:
        guard.watch(known, step, 3.5)
    guard.watch(known, step, 2.9)


def test_the_first_step_of_an_epoch_may_leap_but_must_be_a_number():
    known = Stability()
    for step in range(1, 400):
        known = guard.watch(known, step, 2.0)
    assert guard.watch(known, 400, 9.0, starts=True) == known
    with pytest.raises(guard.Diverged, match="jumped"):
        guard.watch(known, 400, 9.0)
    with pytest.raises(guard.Diverged, match="nan"):
        guard.watch(known, 400, float("nan"), starts=True)
