"""The plan of `minutes` is revised on the way: the time is used, and not more of it. A fake learner, a fake clock."""

import random
from dataclasses import replace

import pytest

from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from charrnn.training.events import BudgetFixed, Ended, Stepped
from charrnn.training.plan import rate_at
from charrnn.training.trainer import Trainer
from support.trainers import MINUTES, after, assert_same, last, make_trainer, metrics, of, resume, timed

RESERVE = 5.0
# Three minutes but for the reserve.
LIMIT = 180 - RESERVE


def changing(path, costs, config=MINUTES, estimate=2.0) -> Trainer:
    """Return a trainer of three minutes whose steps cost a second until the speed is measured, then `costs(step)`."""
    trainer = timed(make_trainer(path, config, reserve=RESERVE), estimate=estimate)
    pay = trainer.learner.pay

    def cost(what: str) -> None:
        pay(what)
        if what == "step" and trainer.progress.total is not None:
            trainer.clock.now += costs(trainer.step) - 1.0

    trainer.learner.pay = cost
    return trainer


@pytest.mark.parametrize(
    ("factor", "since"),
    [(0.5, 0), (0.25, 60), (0.8, 30), (2.0, 0), (3.0, 50), (1.3, 100), (5.0, 120), (1.0, 0)],
)
@pytest.mark.parametrize("save_every", [None, 3])
def test_the_time_is_used_and_not_more(factor, since, save_every, tmp_path):
    trainer = changing(
        tmp_path / "run", lambda step: factor if step >= since else 1.0, replace(MINUTES, save_every=save_every)
    )
    events = list(trainer.events())
    assert 0.95 * LIMIT <= trainer.clock() <= LIMIT
    fixed = of(BudgetFixed, events)
    assert events[-1].reason == "budget" and (len(fixed) == 1) == (factor == 1.0)
    assert [event.before for event in fixed] == [None, *[event.total for event in fixed[:-1]]]
    assert last(Run(tmp_path / "run")).progress.total == events[-1].step


def test_evaluations_that_cost_more_than_at_first(tmp_path):
    config = replace(MINUTES, eval_every=10)
    trainer = changing(tmp_path / "run", lambda step: 1.0, config, estimate=0.1)
    pay = trainer.learner.pay

    def dearer(what: str) -> None:
        pay(what)
        trainer.clock.now += 8.0 if what == "estimate" and trainer.progress.total else 0.0

    trainer.learner.pay = dearer
    list(trainer.events())
    assert 0.93 * LIMIT <= trainer.clock() <= LIMIT


@pytest.mark.parametrize("seed", range(4))
def test_it_does_not_dither(seed, tmp_path):
    """Steps of very different lengths are no reason to change the plan all the time, nor near its end."""
    rng = random.Random(seed)
    trainer = changing(tmp_path / "run", lambda step: rng.uniform(0.05, 0.25), replace(MINUTES, steps=100_000))
    events = list(trainer.events())
    assert 0.95 * LIMIT <= trainer.clock() <= LIMIT + 0.2
    fixed = of(BudgetFixed, events)
    assert 2 <= len(fixed) <= 9
    place = [event for event in events if isinstance(event, BudgetFixed | Stepped)]
    steps = [place[n - 1].step for n, event in enumerate(place) if isinstance(event, BudgetFixed)]
    assert max(steps) <= 0.97 * events[-1].step + 1


def test_the_most_steps_that_are_allowed_stay_so(tmp_path):
    trainer = changing(tmp_path / "run", lambda step: 0.5, replace(MINUTES, steps=160))
    assert list(trainer.events())[-1] == Ended("budget", 160)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_the_rate_goes_on_from_where_it_is(factor, tmp_path):
    trainer = changing(tmp_path / "run", lambda step: factor)
    rates, plans = {}, [trainer.progress]
    for event in trainer.events():
        if isinstance(event, Stepped):
            rates[event.step] = event.learning_rate
        if isinstance(event, BudgetFixed):
            before, now = plans[-1], trainer.progress
            # On disk before it is kept to; and no rate changes at once.
            assert (last(trainer.run).step, last(trainer.run).progress.total) == (trainer.step, event.total)
            if event.before:
                assert rate_at(MINUTES, now, now.step, 16) == rate_at(MINUTES, before, now.step, 16)
            plans.append(now)
    warm = [rate for step, rate in sorted(rates.items()) if step > MINUTES.warmup]
    assert warm == sorted(warm, reverse=True) and len(plans) > 2
    # The log says what was.
    for line in metrics(tmp_path / "run"):
        assert line["learning_rate"] == rates[line["step"]]


@pytest.mark.parametrize("schedule", ["constant", "exponential"])
def test_a_schedule_that_knows_no_end_is_as_ever(schedule, tmp_path):
    trainer = changing(tmp_path / "run", lambda step: 0.5, replace(MINUTES, schedule=schedule))
    assert len(of(BudgetFixed, trainer.events())) > 1
    assert trainer.progress.schedule_step is None


def test_a_plan_that_is_revised_in_the_warm_up_warms_up(tmp_path):
    config = replace(MINUTES, warmup=10_000, steps=100_000)
    trainer = changing(tmp_path / "run", lambda step: 0.02, config)
    events = list(trainer.events())
    fixed = of(BudgetFixed, events)
    assert fixed[1].total > 3 * fixed[0].total
    assert max(event.learning_rate for event in of(Stepped, events)) == pytest.approx(0.5)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_killed_at_any_moment_it_goes_on_with_the_recorded_plan(factor, tmp_path):
    config = replace(MINUTES, save_every=7)
    whole = changing(tmp_path / "whole", lambda step: factor, config)
    rates, plans = {}, {}
    for event in whole.events():
        if isinstance(event, Stepped):
            rates[event.step] = event.learning_rate
            plans[event.step] = (event.total, event.learning_rate)
    for kill in (20, 33, 34, 40, 41, 60, whole.step - 1):
        path = tmp_path / str(kill)
        for event in changing(path, lambda step: factor, config).events():
            if isinstance(event, Stepped) and event.step == kill:
                break
        newest = last(Run(path))
        # Another hour, another speed: what was decided stands.
        trainer = timed(resume(path, newest.step), step=9.0)
        trainer.clock.now = 3600.0
        events = list(trainer.events())
        assert not of(BudgetFixed, events) and events[-1] == Ended("budget", newest.progress.total)
        for event in of(Stepped, events):
            assert event.learning_rate == rate_at(config, newest.progress, event.step - 1, 16)
            if plans.get(event.step, (None,))[0] == newest.progress.total and event.step <= kill:
                assert event.learning_rate == rates[event.step]


def test_a_run_killed_after_its_last_revision_ends_as_the_one_that_was_not(tmp_path):
    whole = changing(tmp_path / "whole", lambda step: 0.5)
    events = list(whole.events())
    revised = of(BudgetFixed, events)[-1]
    trainer = changing(tmp_path / "again", lambda step: 0.5)
    for event in trainer.events():
        if event == revised:
            break
    again = Run(tmp_path / "again")
    list(resume(again.path, last(again).step).events())
    assert_same(*(read_checkpoint(run.newest(), training=True) for run in (whole.run, again)))


def test_an_interruption_is_no_end(tmp_path):
    trainer = changing(tmp_path / "run", lambda step: 0.5)

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 100

    assert list(after(trainer, interrupt))[-1] == Ended("interrupted", 100)
    assert last(trainer.run).progress.total > 200
