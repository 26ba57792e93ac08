"""The trainer's rules: what a resumed run repeats, what is on disk and when, why training ends.

A fake learner stands in for the network, which is the affair of test_learner.py.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import charrnn.atomic
import charrnn.training.trainer
from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from charrnn.training.events import Began, BudgetFixed, Ended, Evaluated, RolledBack, Saved, SaveFailed, Stepped
from charrnn.training.trainer import Trainer
from support.commands import HEAVY
from support.trainers import (
    CONFIG,
    CORPUS,
    MINUTES,
    MODEL,
    VOCAB,
    Clock,
    after,
    assert_same,
    last,
    make_trainer,
    metrics,
    of,
    resume,
    resume_with,
    steps,
    timed,
)


def test_it_needs_no_backend():
    script = "import charrnn.training.trainer, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "charrnn" in found and not HEAVY & set(found)


# Resuming


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, list]:
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    return path, list(make_trainer(path).events())


def test_an_unbroken_run_saves_and_logs_what_it_was_asked_to(unbroken):
    path, events = unbroken
    run = Run(path)
    assert events[0] == Began(path, MODEL, CONFIG, VOCAB.size, 0, 40, None, 16)
    # Every 7th step, every 10th with an evaluation, and the last.
    assert steps(run) == [7, 10, 14, 20, 21, 28, 30, 35, 40]
    assert [event.step for event in of(Stepped, events)] == list(range(1, 41))
    evaluations = of(Evaluated, events)
    assert [event.step for event in evaluations] == [10, 20, 30, 40]
    assert events[-1] == Ended("budget", 40)
    lines = metrics(path)
    assert [list(line) for line in lines] == [["step", "epoch", "train_nats", "val_nats", "learning_rate"]] * 4
    losses = [event.nats for event in of(Stepped, events)]
    for line, event in zip(lines, evaluations, strict=True):
        assert (line["step"], line["val_nats"]) == (event.step, event.val_nats)
        assert line["epoch"] == event.step / 16
        assert line["train_nats"] == event.train_nats == pytest.approx(np.mean(losses[event.step - 10 : event.step]))
    rates = {event.step: event.learning_rate for event in of(Stepped, events)}
    assert [line["learning_rate"] for line in lines] == [rates[line["step"]] for line in lines]
    final = last(run)
    assert final.progress.step == final.progress.total == 40
    assert [record["step"] for record in final.history] == [10, 20, 30, 40]
    assert final.progress.corpus == CORPUS
    assert (final.progress.shards, final.progress.backend, final.progress.device) == (2, "tensorflow", "cpu")


# Before the first evaluation; in the middle of an epoch, just after an evaluation and far from one; late.
@pytest.mark.parametrize("step", [7, 10, 21, 35])
def test_a_resumed_run_repeats_the_unbroken_one_to_the_bit(step, unbroken, tmp_path):
    path, events = unbroken
    again = tmp_path / "again"
    shutil.copytree(path, again)
    for newer in [s for s in steps(Run(path)) if s > step]:
        (again / f"step-{newer:08d}.safetensors").unlink()
    # The log has grown beyond the checkpoint, by a line that a crash cut off in the end.
    with open(again / "metrics.jsonl", "a") as file:
        file.write('{"step": 4')
    trainer = resume(again, step)
    assert trainer.step == step and trainer.config == CONFIG
    began, *repeated = trainer.events()
    known = [event for event in of(Evaluated, events) if event.step <= step]
    assert began == Began(
        again, MODEL, CONFIG, VOCAB.size, step, 40, min((e.val_nats for e in known), default=None), 16
    )

    def comparable(events: list) -> list:
        return [replace(event, weights={}) if isinstance(event, Evaluated) else event for event in events]

    expected = [event for event in events[1:] if event.step > step or isinstance(event, Ended)]
    assert comparable(repeated) == comparable(expected)
    assert metrics(again) == metrics(path)
    assert steps(Run(again)) == steps(Run(path))
    for name in ("step-00000040.safetensors", "best.safetensors"):
        assert_same(*(read_checkpoint(folder / name, training=True) for folder in (again, path)))


# The way to the end


def test_patience_ends_the_run_and_the_best_is_kept(tmp_path):
    trainer = make_trainer(
        tmp_path / "run", replace(CONFIG, patience=3, steps=100, eval_every=4, save_every=None, keep=2)
    )
    trainer.learner.estimates = [3.0, 2.0, 2.5, 2.0, 2.2]
    events = list(trainer.events())
    evaluations = of(Evaluated, events)
    # As good as the best is not better.
    assert [event.best for event in evaluations] == [True, True, False, False, False]
    assert events[-1] == Ended("patience", 20)
    run = Run(tmp_path / "run")
    assert steps(run) == [16, 20]
    best = read_checkpoint(run.best, training=True)
    assert best.progress.step == best.progress.best_step == 8
    assert best.progress.best_nats == last(run).progress.best_nats == 2.0
    for name, weight in evaluations[1].weights.items():
        assert (best.weights[name] == weight).all() and (evaluations[4].weights[name] != weight).any()


def test_patience_is_remembered_over_a_resumption(tmp_path):
    config = replace(CONFIG, patience=3, steps=100, eval_every=4, save_every=None)
    trainer = make_trainer(tmp_path / "run", config)
    trainer.learner.estimates = [2.0, 2.5, 2.5]
    for event in trainer.events():
        if isinstance(event, Evaluated) and event.step == 12:
            break
    trainer = resume(tmp_path / "run", 12)
    trainer.learner.estimates = [2.5]
    assert list(trainer.events())[-1] == Ended("patience", 16)


def test_a_run_that_ended_by_patience_has_ended(tmp_path):
    config = replace(CONFIG, patience=2)
    run = Run(tmp_path / "run")
    trainer = make_trainer(run.path, config)
    trainer.learner.estimates = [2.0, 2.5, 2.5]
    events = list(trainer.events())
    assert events[-1] == Ended("patience", 30)
    assert list(resume(run.path, 30).events())[1:] == [events[-1]]
    more = list(resume(run.path, 30, replace(config, patience=3)).events())
    assert isinstance(more[1], Stepped)


def test_without_validation_the_newest_is_the_best(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, val=0.0, steps=20, patience=1))
    found = [(event.step, event.val_nats, event.best) for event in of(Evaluated, trainer.events())]
    assert found == [(10, None, True), (20, None, True)]
    assert read_checkpoint(Run(tmp_path / "run").best).step == 20
    assert [line["val_nats"] for line in metrics(tmp_path / "run")] == [None, None]


def test_an_interruption_ends_the_step_and_saves_it(unbroken, tmp_path):
    path, events = unbroken
    trainer = make_trainer(tmp_path / "run")

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 12

    assert list(after(trainer, interrupt))[-1] == Ended("interrupted", 12)
    assert steps(Run(tmp_path / "run")) == [7, 10, 12]
    repeated = [event.nats for event in of(Stepped, resume(tmp_path / "run", 12).events())]
    assert repeated == [event.nats for event in of(Stepped, events)][12:]
    assert_same(last(Run(tmp_path / "run")), last(Run(path)))
    assert metrics(tmp_path / "run") == metrics(path)


def test_an_interruption_at_the_last_step_loses_no_evaluation(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=3))

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 3

    events = list(after(trainer, interrupt))
    assert isinstance(events[-2], Evaluated) and events[-1] == Ended("budget", 3)
    assert last(Run(tmp_path / "run")).progress.best_step == 3


def test_epochs_end_with_an_evaluation_but_not_too_often(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.training.trainer.STEPS_BETWEEN_EVALUATIONS", 20)
    monkeypatch.setattr("charrnn.training.trainer.LOG_EVERY", 9)
    config = replace(CONFIG, steps=None, epochs=4.5, eval_every=None, save_every=None)
    events = list(make_trainer(tmp_path / "run", config).events())
    # Epochs end at 16, 32, 48, 64; the first and the third are too near to the evaluation before.
    assert [event.step for event in of(Evaluated, events)] == [32, 64, 72]
    assert events[-1] == Ended("budget", 72)
    lines = {line["step"]: line["val_nats"] for line in metrics(tmp_path / "run")}
    assert list(lines) == [9, 18, 27, 32, 36, 45, 54, 63, 64, 72]
    assert [step for step, nats in lines.items() if nats is not None] == [32, 64, 72]


def test_the_history_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.training.trainer.HISTORY", 3)
    list(make_trainer(tmp_path / "run").events())
    assert [record["step"] for record in last(Run(tmp_path / "run")).history] == [20, 30, 40]
    assert [line["step"] for line in metrics(tmp_path / "run")] == [10, 20, 30, 40]


# Steps in which few targets count, or none


def test_steps_in_which_nothing_counts_are_no_part_of_the_training_loss(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=20))
    trainer.learner.counted = lambda number: 0 if number % 3 or number >= 10 else 30
    trainer.learner.spoilt = lambda learner, number: 0.0 if (number - 1) % 3 or number > 10 else None
    before, seen = trainer.progress.stability, []
    for event in trainer.events():
        if isinstance(event, Stepped):
            seen.append(event.nats)
            # The loss of a step that starts an epoch says nothing of leaps.
            starts = (event.step - 1) % trainer.learner.steps_per_epoch == 0
            assert (trainer.progress.stability != before) == (event.nats is not None and not starts)
            before = trainer.progress.stability
    counted = [nats for nats in seen if nats is not None]
    assert [place for place, nats in enumerate(seen) if nats is not None] == [0, 3, 6, 9]
    first, second = metrics(tmp_path / "run")
    assert first["train_nats"] == pytest.approx(np.mean(counted)) and second["train_nats"] is None


def test_a_step_that_is_not_finite_counts_whatever_it_says(tmp_path):
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, steps=5))
    trainer.learner.counted = lambda number: 0
    spoilt = []
    trainer.learner.spoilt = lambda learner, number: float("nan") if number == 3 and not spoilt.append(3) else 0.0
    with pytest.raises(CharRNNError, match="nan at step 3"):
        list(trainer.events())
    assert len(spoilt) == 6


# Losses that are no numbers (tests/faults/test_nan.py has more)


def saved_are_finite(run: Run) -> bool:
    files = [*run.checkpoints(), *([run.best] if run.best.is_file() else [])]
    checkpoints = [read_checkpoint(path, training=True) for path in files]
    return all(
        np.isfinite(array).all()
        for c in checkpoints
        for part in (c.weights, c.slots, c.state)
        for array in part.values()
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"save_every": None, "eval_every": None},
        {"save_every": 1, "eval_every": None},
        {"save_every": None, "eval_every": 1},
        {"save_every": None, "eval_every": None, "val": 0.0, "steps": 1},
        {"save_every": None, "eval_every": None, "steps": 1},
    ],
)
def test_weights_that_become_infinite_are_an_error_in_words_and_leave_no_damage(settings, tmp_path):
    # The first update takes the weights beyond what float32 holds; its loss is still a number.
    trainer = make_trainer(tmp_path / "run", replace(CONFIG, **settings))

    def overflow(learner, number) -> None:
        learner.weights = {name: np.full_like(array, np.inf) for name, array in learner.weights.items()}

    trainer.learner.spoilt = overflow
    with pytest.raises(CharRNNError, match="`lr`"):
        list(trainer.events())
    assert saved_are_finite(Run(tmp_path / "run"))


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    trainer.learner.spoilt = lambda learner, number: float("nan") if number == 13 else None
    with pytest.raises(CharRNNError, match="step 13") as caught:
        list(trainer.events())
    run = Run(tmp_path / "run")
    assert str(run.newest()) in caught.value.hint and steps(run) == [7, 10] and saved_are_finite(run)
    # What is left can be resumed.
    trainer = resume(tmp_path / "run", 10)
    assert list(trainer.events())[-1] == Ended("budget", 40)


def test_after_a_rollback_the_way_is_that_of_the_lower_rate_alone(tmp_path):
    """Nothing of the steps that went wrong is left: not in the learner, in the log or in the sums."""
    config = replace(CONFIG, schedule="constant")
    trainer, spoilt = make_trainer(tmp_path / "run", config), []
    trainer.learner.spoilt = lambda learner, number: float("nan") if number == 14 and not spoilt.append(14) else None
    for event in trainer.events():
        if isinstance(event, RolledBack):
            assert (event.step, event.rate_scale) == (10, 0.5)
            trainer.learner.spoilt = lambda learner, number: None
    other = make_trainer(tmp_path / "other", config)
    for event in other.events():
        if isinstance(event, Evaluated) and event.step == 10:
            other.progress = replace(other.progress, stability=replace(other.progress.stability, rate_scale=0.5))
    one, two = last(Run(tmp_path / "run")), last(Run(tmp_path / "other"))
    for name, array in one.weights.items():
        assert (two.weights[name] == array).all()
    lines = [line for line in metrics(tmp_path / "run") if "rollback" not in line]
    assert lines == metrics(tmp_path / "other") and [line["step"] for line in lines] == [10, 20, 30, 40]


# A GPU that computes while the next step is prepared


class Late:
    """The loss of a step that a GPU still computes; `log` is told when it is awaited."""

    def __init__(self, number: int, nats: float, log: list, wait: Callable[[], None]):
        self.number, self.nats, self.log, self.wait = number, nats, log, wait

    def __float__(self) -> float:
        self.log.append(("awaited", self.number))
        self.wait()
        return self.nats


def on_gpu(trainer: Trainer, log: list, wait: Callable[[], None] = lambda: None) -> Trainer:
    """Let the trainer's learner be one on a GPU; `log` is told of steps begun, losses awaited, and states read.

    `wait` is called where a loss is awaited.
    """
    learner, step, state = trainer.learner, trainer.learner.step, trainer.learner.state

    def late_step(number, rate):
        log.append(("begun", number))
        nats, counted = step(number, rate)
        return Late(number, nats, log, wait), counted

    learner.device, learner.step = "gpu", late_step
    learner.state = lambda: log.append(("saved", None)) or state()
    return trainer


def test_with_a_gpu_a_step_is_begun_before_the_loss_of_the_last_is_read(unbroken, tmp_path):
    log: list = []
    path = tmp_path / "unbroken"
    events = list(on_gpu(make_trainer(path), log).events())
    assert log.index(("begun", 1)) < log.index(("awaited", 0)) < log.index(("begun", 2)) < log.index(("awaited", 1))
    # Every loss is read before a save or an evaluation, so that nothing on disk is different.
    for place, (what, _) in enumerate(log):
        begun, awaited = ([n for w, n in log[:place] if w == kind] for kind in ("begun", "awaited"))
        assert what != "saved" or begun == awaited
    assert metrics(path) == metrics(unbroken[0])
    for one, other in zip(Run(path).checkpoints(), Run(unbroken[0]).checkpoints(), strict=True):
        kept = read_checkpoint(one, training=True)
        assert kept.progress.device == "cpu"
        assert_same(kept, read_checkpoint(other, training=True))
    # With a step the loss of the one before is told.
    told, known = ([event.nats for event in of(Stepped, each)] for each in (events, unbroken[1]))
    assert told == [None, *known[:-1]]


def test_with_a_gpu_a_rollback_forgets_the_step_that_was_begun_too(tmp_path):
    logs: dict[str, list] = {"cpu": [], "gpu": []}
    for name, log in logs.items():
        trainer, spoilt = make_trainer(tmp_path / name, replace(CONFIG, save_every=None)), []

        def spoil(learner, number, spoilt=spoilt):
            return float("nan") if number == 14 and not spoilt.append(14) else None

        trainer.learner.spoilt = spoil
        if name == "gpu":
            on_gpu(trainer, log)
        for event in trainer.events():
            if isinstance(event, RolledBack):
                trainer.learner.spoilt = lambda learner, number: None
    # Step 15 was begun when the loss of the 14th was read.
    log = logs["gpu"]
    assert log.index(("begun", 14)) < log.index(("awaited", 13))
    assert_same(*(last(Run(tmp_path / name)) for name in logs))
    assert metrics(tmp_path / "cpu") == metrics(tmp_path / "gpu")


def test_with_a_gpu_a_line_of_the_log_has_every_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(charrnn.training.trainer, "LOG_EVERY", 4)
    for name in ("cpu", "gpu"):
        trainer = make_trainer(tmp_path / name, replace(CONFIG, save_every=None))
        list((on_gpu(trainer, []) if name == "gpu" else trainer).events())
    assert metrics(tmp_path / "cpu") == metrics(tmp_path / "gpu") and len(metrics(tmp_path / "gpu")) > 10


@pytest.mark.parametrize("evaluation", [0.0, 7.0])
def test_with_a_gpu_minutes_are_measured_by_the_losses_that_have_come(evaluation, tmp_path):
    totals = []
    for name in ("cpu", "gpu"):
        trainer = make_trainer(tmp_path / name, MINUTES)
        timed(trainer, step=0.0 if name == "gpu" else 0.8, estimate=evaluation)
        if name == "gpu":

            def wait(trainer=trainer):
                trainer.clock.now += 0.8

            on_gpu(trainer, [], wait)
        events = list(trainer.events())
        assert trainer.clock.now <= 60 * MINUTES.minutes + 0.8
        totals.append(events[-1].step)
    assert abs(totals[0] - totals[1]) <= 2


def test_with_a_gpu_an_interruption_reads_every_loss(tmp_path):
    log: list = []
    trainer = on_gpu(make_trainer(tmp_path / "run", replace(CONFIG, save_every=None)), log)

    def interrupt(event):
        trainer.interrupted = event.step == 5

    assert list(after(trainer, interrupt))[-1] == Ended("interrupted", 5)
    assert [number for what, number in log if what == "awaited"] == [0, 1, 2, 3, 4]
    assert last(Run(tmp_path / "run")).progress.loss_steps == 5


@pytest.mark.parametrize("step", [14, 40])
def test_with_a_gpu_a_loss_that_is_read_at_a_save_may_be_what_is_wrong(step, tmp_path):
    trainer, spoilt = make_trainer(tmp_path / "run"), []

    def once(learner, number):
        return float("nan") if number == step and not spoilt and not spoilt.append(step) else None

    trainer.learner.spoilt = once
    events = list(on_gpu(trainer, []).events())
    # To the save before: step 14 is one of every seventh, step 10 had an evaluation, and step 40 is the last.
    assert [event.step for event in of(RolledBack, events)] == [{14: 10, 40: 35}[step]]
    assert events[-1] == Ended("budget", 40)


# A budget of minutes


@pytest.mark.parametrize("warmup", [3, 50])
def test_minutes_are_measured_then_fixed_on_disk_then_kept(warmup, tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, replace(MINUTES, warmup=warmup), reserve=5.0))
    totals, fixed_at, fixed = set(), None, None
    for event in trainer.events():
        if isinstance(event, BudgetFixed):
            assert fixed is None
            fixed, fixed_at = event, trainer.step
            # Before any step that depends on it.
            assert (last(run).step, last(run).progress.total) == (fixed_at, fixed.total)
        elif isinstance(event, Stepped):
            assert event.total == (fixed and fixed.total)
            totals.add(event.total)
    # Two steps (10 s for compiling the first) go before the measurement of 5 % of 180 s, at a second each.
    assert fixed_at == 2 + 9
    assert fixed.characters_per_second == pytest.approx(CONFIG.batch * CONFIG.seq)
    assert totals == {None, fixed.total} and event == Ended("budget", fixed.total)
    assert last(run).step == fixed.total
    # It fills the time: another step and evaluation would not have fitted beside the reserve.
    assert 180 - 5 - 3 - 2 * 2 <= trainer.clock() <= 180 - 5


def test_minutes_and_steps_limit_a_run_together(tmp_path):
    for limit, expected in ((30, 30), (6, 6), (2, 2)):
        run = Run(tmp_path / str(limit))
        trainer = timed(make_trainer(run.path, replace(MINUTES, steps=limit, eval_every=100)))
        events = list(trainer.events())
        assert events[-1] == Ended("budget", expected)
        assert [event.step for event in of(Evaluated, events)] == [expected]
        assert last(run).progress.total == expected


@pytest.mark.parametrize("steps, distance", [(30, 4), (24, 3), (None, 18)])
def test_a_run_by_minutes_is_evaluated_at_each_eighth(steps, distance, tmp_path):
    """Its epochs are longer than its time."""
    trainer = timed(make_trainer(tmp_path / "run", replace(MINUTES, steps=steps, eval_every=None)))
    trainer.learner.steps_per_epoch = 1000
    events = list(trainer.events())
    steps = [0, *(event.step for event in of(Evaluated, events))]
    assert events[-1].step == steps[-1] and events[0].total is None
    # The first one is made when the number of steps is known.
    assert steps[1] == max(11, distance)
    assert {after - before for before, after in pairwise(steps[1:-1])} == {distance}
    total = last(Run(tmp_path / "run")).progress.total
    assert distance == -(-total // 8) and total == steps[-1]


def test_minutes_too_short_to_measure_still_end_with_a_model(tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, replace(MINUTES, minutes=0.01)))
    events = list(trainer.events())
    assert isinstance(events[-1], Ended) and isinstance(events[-2], Evaluated)
    assert events[-1].step < 10 and run.best.is_file()


def test_a_measured_budget_survives_a_resumption(tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, MINUTES))
    for event in trainer.events():
        if isinstance(event, BudgetFixed):
            total, step = event.total, trainer.step
        if isinstance(event, Evaluated):
            break
    trainer = timed(resume(run.path, 40))
    # Another hour, another speed: what was decided stands.
    trainer.clock.now = 3600.0
    events = list(trainer.events())
    assert not of(BudgetFixed, events) and events[0].total == total
    assert events[-1] == Ended("budget", total) and step < 40 < total


@pytest.mark.parametrize("change", [{"keep": 5}, {"save_every": 9}, {"patience": 50}, {"eval_every": 20}])
def test_a_change_that_is_no_budget_keeps_the_measured_one(change, tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, MINUTES))
    for event in trainer.events():
        if isinstance(event, Evaluated):
            break
    total = trainer.progress.total
    assert resume(run.path, 40, replace(MINUTES, **change)).progress.total == total


def test_a_new_budget_replaces_the_old_one(tmp_path):
    run = Run(tmp_path / "run")
    list(make_trainer(run.path, replace(CONFIG, steps=10)).events())
    trainer = resume_with(run.path, 10, {"steps": 5})
    assert list(trainer.events())[-1] == Ended("budget", 15)
    # Minutes count from the start of the command that resumes; the steps before are not counted again.
    trainer = timed(resume_with(run.path, 15, {"minutes": 2.0}))
    events = list(trainer.events())
    (fixed,) = of(BudgetFixed, events)
    assert events[-1] == Ended("budget", fixed.total)
    assert 15 + 50 < fixed.total < 15 + 120
    assert trainer.clock() <= 120


def test_a_new_budget_gives_new_patience(tmp_path):
    config = replace(CONFIG, patience=2)
    trainer = make_trainer(tmp_path / "run", config)
    trainer.learner.estimates = [2.0, 2.5, 2.5]
    assert list(trainer.events())[-1] == Ended("patience", 30)
    trainer = resume_with(tmp_path / "run", 30, {"steps": 30})
    trainer.learner.estimates = [2.5, 2.5]
    assert list(trainer.events())[-1] == Ended("patience", 50)


def test_an_interruption_while_the_speed_is_measured_is_saved_and_resumed(tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, MINUTES))

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 5

    assert list(after(trainer, interrupt))[-1] == Ended("interrupted", 5)
    assert last(run).progress.total is None
    events = list(timed(resume(run.path, 5)).events())
    assert isinstance(events[-1], Ended) and of(BudgetFixed, events)


def test_an_interruption_at_the_last_step_of_the_measurement_still_ends_the_run(tmp_path):
    run = Run(tmp_path / "run")
    trainer = timed(make_trainer(run.path, replace(MINUTES, steps=4)))

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 4

    events = list(after(trainer, interrupt))
    assert events[-1] == Ended("budget", 4) and of(Evaluated, events)


def test_seconds_in_the_log_go_on_over_a_resumption(tmp_path):
    run = Run(tmp_path / "run")
    list(timed(make_trainer(run.path, replace(CONFIG, steps=10))).events())
    seconds = json.loads(run.log.path.read_text().splitlines()[-1])["seconds"]
    assert seconds == 10 * 1.0 + 2.0 + 2 * 10.0
    trainer = resume_with(run.path, 10, {"steps": 10}, clock=(clock := Clock()))
    clock.now = 4.0
    list(trainer.events())
    assert json.loads(run.log.path.read_text().splitlines()[-1])["seconds"] == seconds + 4.0
    assert last(run).progress.seconds == seconds + 4.0


# Saving


def full_disk(monkeypatch, trainer: Trainer, steps: set[int]) -> list[int]:
    """Let the disk be full while these steps are saved; return the list of the saves that failed."""
    real, failed = charrnn.atomic.sync_folder, []

    def sync_folder(folder: Path) -> None:
        if trainer.step in steps:
            failed.append(trainer.step)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(folder)

    # All that a save writes is on disk then, but not known to be: the log's lines, the first of the files.
    monkeypatch.setattr("charrnn.runs.log.sync_folder", sync_folder)
    return failed


def test_training_goes_on_when_a_save_fails_and_the_next_makes_up_for_it(unbroken, tmp_path, monkeypatch):
    path, _ = unbroken
    run = Run(tmp_path / "run")
    trainer = make_trainer(run.path)
    failed = full_disk(monkeypatch, trainer, {10, 14, 30, 35})
    events = list(trainer.events())
    told = of(SaveFailed, events)
    assert [event.step for event in told] == failed == [10, 14, 30, 35]
    assert all("No space left" in event.error.message for event in told)
    assert events[-1] == Ended("budget", 40) and steps(run) == [7, 20, 21, 28, 40]
    assert metrics(run.path) == metrics(path)
    assert_same(last(run), last(Run(path)))
    assert_same(read_checkpoint(run.best, training=True), read_checkpoint(Run(path).best, training=True))


def test_a_best_that_could_not_be_saved_is_saved_with_the_next_step(tmp_path, monkeypatch):
    run = Run(tmp_path / "run")
    trainer = make_trainer(run.path)
    full_disk(monkeypatch, trainer, {10})
    for event in trainer.events():
        if isinstance(event, Stepped) and event.step == 15:
            break
    assert steps(run) == [7, 14]
    assert read_checkpoint(run.best).step == last(run).progress.best_step == 10


def test_a_last_save_that_fails_ends_with_an_error(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path / "run")
    full_disk(monkeypatch, trainer, {40})
    with pytest.raises(NotWritten, match="No space left"):
        list(trainer.events())
    assert steps(trainer.run)[-1] == 35


def test_an_interruption_that_cannot_be_saved_is_an_error(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path / "run")
    full_disk(monkeypatch, trainer, {12})

    def interrupt(event: Stepped) -> None:
        trainer.interrupted = event.step == 12

    with pytest.raises(NotWritten):
        list(after(trainer, interrupt))
    assert steps(trainer.run) == [7, 10]


def test_a_save_that_is_asked_for_is_made_and_changes_nothing(unbroken, tmp_path):
    path, _ = unbroken
    run = Run(tmp_path / "run")
    trainer = make_trainer(run.path)

    def ask(event: Stepped) -> None:
        trainer.save_wanted = event.step in (3, 10, 12)

    events = list(after(trainer, ask))
    assert [event.step for event in of(Saved, events)] == [3, 10, 12]
    assert steps(run) == sorted({3, 12, *steps(Run(path))})
    assert metrics(run.path) == metrics(path)
    assert_same(last(run), last(Run(path)))


def test_a_folder_that_vanishes_is_a_save_that_failed(tmp_path):
    trainer = make_trainer(tmp_path / "run")

    def remove(event: Stepped) -> None:
        if event.step == 12:
            shutil.rmtree(trainer.run.path)

    events = []
    with pytest.raises(NotWritten):
        for event in after(trainer, remove):
            events.append(event)
    assert [event.step for event in of(SaveFailed, events)] == [14, 20, 21, 28, 30, 35, 40]
