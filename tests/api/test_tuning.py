"""The search for good settings: what it tries, what it ends early, what is left of a kill, what it tells."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import charrnn
from charrnn.api import apart, searching, study, tuning
from charrnn.api.events import Began, Evaluated, OfRun
from charrnn.api.search_space import nearest, space
from charrnn.api.study import COMPLETE, FAILED, PRUNED, Study, importance, pruned
from charrnn.api.tuned import SearchBegan, SearchEnded, TrialBegan, TrialEnded, result_of
from charrnn.api.tuning import tune, tune_events
from charrnn.config import RANGES, RUNGS, Range
from charrnn.errors import CharRNNError
from charrnn.runs import search
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from support import fake_child

SUPPORT = Path(fake_child.__file__)
# A search that is short enough for tests, and has trials of all kinds.
ASKED = {"trials": 7, "steps": 32, "units": 4, "layers": 1, "cell": "rnn", "seq": 32, "save_every": 3, "seed": 8}


@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr(apart, "_CHILD", fake_child.CODE)


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("".join(random.Random(0).choices("abcd ef\n", k=60_000)))
    return "text.txt"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Return the result of a search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "text.txt").write_text("".join(random.Random(0).choices("abcd ef\n", k=60_000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "_CHILD", fake_child.CODE)
        patch.chdir(folder)
        found = tune("text.txt", keep_all=True, out=folder / "runs", **ASKED)
    return found


def alike(found):
    """Return what must be the same in two searches: all but times and places."""
    return [
        (one.number, one.state, one.settings, one.bits_per_char, one.estimates, one.steps, one.why)
        for one in found.trials
    ]


def same_runs(one, other):
    """Check that the runs of two searches have the same checkpoints, bit for bit."""
    for trial in one.trials:
        runs = [Run(found.path / trial.name) for found in (one, other)]
        names = [[path.name for path in (*run.checkpoints(), run.best) if path.is_file()] for run in runs]
        assert names[0] == names[1]
        for name in names[0]:
            a, b = (read_checkpoint(run.path / name, training=True) for run in runs)
            assert a.step == b.step and a.progress.best_nats == b.progress.best_nats
            assert all(np.array_equal(a.weights[key], b.weights[key]) for key in a.weights)
            assert all(np.array_equal(a.slots[key], b.slots[key]) for key in a.slots) and a.slots
            assert all(np.array_equal(a.state[key], b.state[key]) for key in a.state) and a.state


# What is searched


def test_the_space_has_the_defaults_and_what_is_given_is_not_searched():
    made = space({"units": 300, "optimizer": "rmsprop"}, None)
    assert list(made.ranges) == ["lr", "dropout", "layers", "batch", "seq"]
    assert made.defaults == {"lr": 0.002, "dropout": 0.3, "layers": 2, "batch": 32, "seq": 64}
    assert (made.ranges["lr"].low, made.ranges["lr"].high) == (0.0002, 0.008)
    assert list(space({}, ["seq", "lr"]).ranges) == ["lr", "seq"]
    # With labels, `seq` has another default.
    assert space({"labels": True}, None).defaults["seq"] == 256


@pytest.mark.parametrize(
    ("given", "searched", "told"),
    [
        ({}, ["unitz"], "`search` is 'unitz'.*Did you mean units"),
        ({"units": 64}, ["units"], "`units`, which is fixed: `units=64`"),
        ({"lr": 0.1}, [], "Nothing is left"),
        ({"val": 0.0}, None, "`val=0`"),
        ({"epochs": 3}, None, "cannot be given `epochs`"),
        ({"init": "run"}, None, "cannot be given `init`"),
        ({"units": 0}, None, "`units` is 0"),
        ({"colour": 1}, None, "no setting `colour`"),
    ],
)
def test_what_cannot_be_searched_is_refused(given, searched, told):
    with pytest.raises(CharRNNError, match=told):
        space(given, searched)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"trials": 3}, "`trials` needs `steps`"),
        ({"steps": 3}, "`steps` needs `trials`"),
        ({"trials": 3, "steps": 0}, "`steps` is 0"),
        ({"trials": 3, "steps": 3, "minutes": 1}, "either a time"),
        ({"minutes": 0}, "`minutes` is 0"),
        ({"minutes": 1, "trial_minutes": 2}, "longer than the search"),
        ({"resume": "one", "minutes": 3}, "leave out `minutes`"),
        ({"resume": "one", "units": 3}, "leave out `units`"),
        ({"resume": "one", "keep_all": True}, "leave out `keep_all`"),
        ({"resume": "one", "seed": 3}, "leave out `seed`"),
        ({"resume": "one", "backend": "jax"}, "leave out `backend`"),
        ({"resume": "one", "device": "cpu"}, "leave out `device`"),
        ({"resume": "one", "engine": "framework"}, "leave out `engine`"),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_trials(given, told, tmp_path):
    with pytest.raises(CharRNNError, match=told):
        tune_events(() if "resume" in given else "text.txt", out=tmp_path, **given)


def test_values_are_the_nearest_that_are_allowed():
    assert nearest(RANGES["units"], 110) == 96 and nearest(RANGES["units"], 111) == 128
    assert nearest(RANGES["layers"], 2) == 2
    assert nearest(Range(0.0005, 0.02, log=True, digits=3), 0.00123456) == 0.00123
    assert nearest(RANGES["dropout"], 0.5999) == 0.6 and nearest(RANGES["dropout"], 0.001) == 0.0


# The study


def halved(losses):
    """Return whether each of some trials, which come one after the other, is ended at its last rung, by the paper.

    At each rung a trial goes on if it is in the better half of all that came there before, and itself; of a single one,
    if it is the best.
    """
    at_rung = {percent: [] for percent in RUNGS}
    ended = []
    for rungs in losses:
        is_ended = False
        for percent in RUNGS:
            if percent not in rungs:
                break
            at_rung[percent].append(rungs[percent])
            best = sorted(at_rung[percent])[: max(1, len(at_rung[percent]) // 2)]
            is_ended = rungs[percent] not in best
            if is_ended:
                break
        ended.append(is_ended)
    return ended


def test_the_better_half_goes_on():
    rng, losses = random.Random(1), []
    for _ in range(40):
        # A trial comes to its next rung only if it was not ended before.
        rungs = {}
        for percent in RUNGS:
            rungs[percent] = rng.random()
            assert pruned([*losses, rungs]) == halved([*losses, rungs])[-1]
            if halved([*losses, rungs])[-1]:
                break
        losses.append(rungs)
    assert 0 < sum(halved(losses)) < 40


def fill(made, count, begin=0):
    """Let a study have so many trials, with losses that depend on their settings."""
    for _ in range(begin, count):
        entry, rungs, state = made.begin(steps=8), {}, COMPLETE
        base = fake_child.quality(entry.params["lr"], entry.params["dropout"])
        for percent in RUNGS:
            rungs[percent] = base + 1 / percent
            made.report(entry, percent, rungs[percent])
            if made.is_pruned(entry, rungs):
                state = PRUNED
                break
        made.finish(entry, state, base if state == COMPLETE else None, seconds=1.0)


def facts(made):
    return [(one.number, one.state, one.params, one.rungs, one.nats) for one in made.entries()]


def test_what_is_tried_depends_on_the_trials_and_the_seed_alone(tmp_path):
    made = space({"units": 64}, None)
    whole = Study(tmp_path / "whole", made, 5)
    fill(whole, 14)
    assert whole.entries()[0].params == made.defaults
    for entry in whole.entries():
        for name, value in entry.params.items():
            assert value == nearest(made.ranges[name], value)
    # Opened anew after each trial, and once after a kill that left half a line.
    for count in range(14):
        fill(Study(tmp_path / "parts", made, 5), count + 1, count)
        if count == 7:
            with open(tmp_path / "parts", "ab") as file:
                file.write(b'{"op_code": 4, "work')
    assert facts(Study(tmp_path / "parts", made, 5)) == facts(whole)
    other = Study(tmp_path / "other", made, 6)
    fill(other, 2)
    assert other.entries()[1].params != whole.entries()[1].params


def test_a_trial_that_was_running_has_its_settings_again(tmp_path):
    made = space({}, None)
    first = Study(tmp_path / "journal", made, 0)
    fill(first, 1)
    entry = first.begin(minutes=0.5)
    again = Study(tmp_path / "journal", made, 0).running()
    assert again == entry and again.facts == {"minutes": 0.5}


@pytest.mark.parametrize("content", [b"no\njournal\n", b"[]\n", b"{}\n", b'{"op_code": 4, "worker_id": "a"}\n'])
def test_a_damaged_journal_is_told(tmp_path, content):
    (tmp_path / "journal").write_bytes(content)
    with pytest.raises(CharRNNError, match="damaged"):
        Study(tmp_path / "journal", space({}, None), 0)


def test_what_matters_is_told_of_enough_trials(tmp_path):
    made = space({"units": 64}, ["lr", "batch", "seq"])
    one = Study(tmp_path / "journal", made, 0)
    for _ in range(study.ENOUGH):
        assert importance(one.entries(), made.ranges) is None
        entry = one.begin()
        one.finish(entry, COMPLETE, entry.params["lr"])
    shares = importance(one.entries(), made.ranges)
    assert max(shares, key=shares.get) == "lr" and sum(shares.values()) == pytest.approx(1)


def test_optuna_stays_silent_and_as_it_was(tmp_path, capfd, recwarn):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.INFO)
    fill(Study(tmp_path / "journal", space({}, None), 0), 3)
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


# Whole searches


def test_a_search_tries_ends_early_and_finds_the_best(unbroken):
    states = [trial.state for trial in unbroken.trials]
    assert len(states) == 7 and {COMPLETE, PRUNED, FAILED} == set(states) and unbroken.complete
    assert unbroken.default == unbroken.trials[0] and unbroken.trials[0].differing == {}
    complete = [trial for trial in unbroken.trials if trial.state == COMPLETE]
    assert unbroken.best.bits_per_char == min(trial.bits_per_char for trial in complete)
    assert unbroken.best.bits_per_char < unbroken.default.bits_per_char
    for trial in unbroken.trials:
        run = Run(trial.path)
        if trial.state == PRUNED:
            # It took no step after the rung.
            assert run.checkpoints()[-1].name == f"step-{ {12: 4, 25: 8, 50: 16}[trial.percent]:08d}.safetensors"
            assert not (trial.path / ".charrnn-lock").exists()
        elif trial.state == FAILED:
            assert "refuses `batch=128`" in trial.why and trial.settings["batch"] == 128
    kept = {"units": 4, "layers": 1, "cell": "rnn", "seq": 32, "save_every": 3}
    given = {**kept, **unbroken.best.differing, "steps": 32, "eval_every": 4, "seed": 8}
    assert unbroken.call == f"charrnn.train('text.txt', {', '.join(f'{k}={v!r}' for k, v in given.items())})"
    assert json.loads(json.dumps(unbroken.to_json()))["best"]["name"] == unbroken.best.name
    assert unbroken.importance is None


def test_the_call_has_what_is_no_default_and_the_command_is_right(unbroken):
    from charrnn.cli.console import as_command

    record = search.read(unbroken.path)
    made = Study(unbroken.path / search.JOURNAL, space({}, None), 0)
    given = {"bytes": False, "val_file": None, "patience": None, "split": "tail", "warmup": 0, "include": []}
    place = {"backend": "jax", "device": "auto", "engine": "framework"}
    found = result_of(unbroken.path, replace(record, settings=given, place=place), made).call
    wanted = "'text.txt', patience=None, split='tail', warmup=0, backend='jax', engine='framework', "
    assert found.removeprefix("charrnn.train(").startswith(wanted)
    shown = "charrnn train text.txt --patience 0 --split tail --warmup 0 --backend jax --engine framework "
    assert as_command(found).startswith(shown)


def test_a_finished_search_is_shown_again_and_written_no_more(unbroken):
    before = {path: path.stat().st_mtime_ns for path in unbroken.path.rglob("*")}
    assert tune(resume=unbroken.path) == unbroken
    assert {path: path.stat().st_mtime_ns for path in unbroken.path.rglob("*")} == before


def test_a_search_that_is_killed_and_goes_on_is_the_same(unbroken, text, faked):
    """Kill the process of a trial, the search in the middle of a trial, and one after a rung; stop it once."""
    asked = {**ASKED, "keep_all": True, "name": "killed", "out": "runs"}
    killed = []
    with tune_events(text, **asked) as searching_:
        for event in searching_:
            if isinstance(event, OfRun) and isinstance(event.event, Evaluated) and not killed:
                killed.append("child")
                os.kill(searching_._training.process.pid, signal.SIGKILL)
            elif isinstance(event, OfRun) and isinstance(event.event, Evaluated) and event.event.step == 12:
                killed.append("both")
                break
    journal = Path("runs/killed") / search.JOURNAL
    with open(journal, "ab") as file:
        file.write(b'{"half": ')
    # The decision after a rung is not yet in the journal: it is made again.
    with tune_events(resume="killed", out="runs") as searching_:
        for event in searching_:
            if isinstance(event, OfRun) and isinstance(event.event, Evaluated) and event.name != "trial-000":
                killed.append("after a rung")
                break
    with tune_events(resume="killed", out="runs") as searching_:
        for event in searching_:
            if isinstance(event, OfRun) and isinstance(event.event, Began) and event.name > "trial-001":
                killed.append("stopped")
                searching_.stop()
    assert isinstance(event, SearchEnded) and not event.result.complete
    assert killed == ["child", "both", "after a rung", "stopped"]
    found = tune(resume="killed", out="runs")
    assert alike(found) == alike(unbroken)
    same_runs(unbroken, found)


def test_a_search_whose_process_is_killed_is_the_same(unbroken, text, monkeypatch):
    """Kill -9 of the parent: its child ends by itself. tests/faults/test_kill_search.py does that more often."""
    asked, rng, kills = {**ASKED, "keep_all": True, "name": "killed", "out": "runs"}, random.Random(0), 0
    words = repr({"corpus": text, **asked})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT.parent.parent), *filter(None, sys.path)])}
    while kills < 1:
        process = subprocess.Popen([sys.executable, str(SUPPORT), words], env=environment, stderr=subprocess.PIPE)
        # A moment that does not depend on the speed of the machine: so many files were written.
        wanted = rng.randint(3, 12)
        before = len(list(Path("runs").rglob("*")))
        while process.poll() is None and len(list(Path("runs").rglob("*"))) < before + wanted:
            time.sleep(0.002)
        kills += process.poll() is None
        process.kill()
        assert process.communicate()[1] == b""
        words = repr({"resume": "killed", "out": "runs"})
    monkeypatch.setattr(apart, "_CHILD", fake_child.CODE)
    found = charrnn.tune(resume="killed", out="runs")
    assert alike(found) == alike(unbroken)
    same_runs(unbroken, found)


def test_only_the_best_weights_stay(text, faked):
    found = tune(text, **{**ASKED, "trials": 4})
    left = {path.parent.name for path in found.path.rglob("*.safetensors")}
    assert left == {found.best.name} and {trial.name for trial in found.trials} > left
    assert found.path == Path("checkpoints/text-tune")
    assert all((trial.path / "metrics.jsonl").is_file() for trial in found.trials if trial.state != FAILED)


def test_weights_that_a_user_trains_further_stay(unbroken, tmp_path):
    made = object.__new__(searching.Trials)
    made.path, made.record = tmp_path / "copy", SimpleNamespace(keep_all=False)
    shutil.copytree(unbroken.path, made.path)
    entries = Study(made.path / search.JOURNAL, space({}, None), 0).entries()
    made.study = SimpleNamespace(finished=lambda: entries)
    best, one, other, *_ = (
        Run(made.path / trial.name)
        for trial in sorted(unbroken.trials, key=lambda trial: trial.bits_per_char or 99)
        if Run(trial.path).newest()
    )
    (one.path / "mine.safetensors").touch()
    (one.path / "step-00000099.safetensors").touch()
    other.lock.acquire()
    made._tidy()
    assert one.best.is_file() and other.best.is_file()
    other.lock.release()
    (one.path / "step-00000099.safetensors").unlink()
    made._tidy()
    assert not [*one.checkpoints(), *other.checkpoints()] and not one.best.is_file()
    assert (one.path / "mine.safetensors").is_file() and best.best.is_file()


def test_what_a_user_put_into_the_first_trial_stays(text, faked):
    with pytest.raises(CharRNNError, match="trial-000 exists already"), tune_events(text, **ASKED) as events:
        for event in events:
            if isinstance(event, TrialBegan):
                event.trial.path.mkdir()
                (event.trial.path / "mine").touch()
    assert (event.trial.path / "mine").is_file()


def test_a_trial_whose_process_dies_again_and_again_has_failed(text, faked, monkeypatch):
    monkeypatch.setenv("DIES", "32")
    found = tune(text, **{**ASKED, "trials": 1})
    assert found.trials[0].state == FAILED and "not enough memory" in found.trials[0].why and found.best is None


def test_what_no_trial_can_use_ends_the_search(text, faked):
    Path("empty.txt").write_text("")
    for corpus, told in (("nowhere.txt", "nowhere.txt does not exist"), ("empty.txt", "is empty")):
        with pytest.raises(CharRNNError, match=told):
            tune(corpus, **ASKED)
        assert not Path("checkpoints").exists() or not list(Path("checkpoints").iterdir())
    os.mkfifo("pipe")
    with pytest.raises(CharRNNError, match="pipe or a device"):
        tune("pipe", **ASKED)


def test_a_search_ends_when_too_many_trials_fail_one_after_the_other(text, faked, monkeypatch):
    monkeypatch.setattr(searching, "FAILURES", 1)
    with pytest.raises(CharRNNError, match=r"The last 1 trials failed.*`batch=128`"):
        tune(text, **ASKED)
    # What was found until then is kept.
    assert any(Path("checkpoints/text-tune").glob("*/best.safetensors"))


@pytest.mark.parametrize("wrong", [{"corpus": "a"}, {"settings": []}, {"minutes": "1"}, {"folder": 3}, {"steps": [1]}])
def test_a_file_that_is_none_of_a_search_is_refused(tmp_path, wrong):
    made = search.SearchRecord(("a",), "/", {}, {}, ("lr",), trials=1, steps=1)
    search.write(tmp_path, made)
    assert search.read(tmp_path) == made
    told = json.loads((tmp_path / search.FILE).read_text())
    (tmp_path / search.FILE).write_text(json.dumps({**told, **wrong}))
    with pytest.raises(CharRNNError, match="is not the file of a search"):
        search.read(tmp_path)


def test_values_of_numpy_are_stored_as_numbers():
    assert json.dumps([tuning._stored(value) for value in (np.int64(4), [np.float32(0.5)])]) == "[4, [0.5]]"


def test_a_search_without_optuna_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(study.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CharRNNError, match="not installed") as told:
        tune_events("text.txt")
    assert told.value.hint == "Install it: pip install 'charrnn[tune]'"


def test_two_searches_cannot_share_a_folder(unbroken, text, faked):
    with tune_events(text, **ASKED) as one:
        assert isinstance(next(iter(one)), SearchBegan)
        with pytest.raises(CharRNNError, match="The search checkpoints/text-tune is being trained"):
            tune(resume="text-tune")
        # What the other process is about to write is not mended.
        journal = one.path / search.JOURNAL
        journal.write_bytes(before := journal.read_bytes() + b'{"half": ')
        with pytest.raises(CharRNNError, match="is being trained"):
            tune(resume="text-tune")
        assert journal.read_bytes() == before
        journal.unlink()
        with pytest.raises(CharRNNError, match="is being trained"):
            tune(resume="text-tune")
        assert not journal.exists()


def test_all_trials_have_the_same_text(text, faked):
    told, asked = Path(text).read_text(), {**ASKED, "trials": 2, "name": "same", "search": ["lr"], "batch": 16}
    with (
        pytest.raises(CharRNNError, match=r"The text of the search .*same has changed"),
        tune_events(text, **asked) as t,
    ):
        for event in t:
            if isinstance(event, TrialEnded):
                Path(text).write_text(told + "!")
    Path(text).write_text(told)
    # The trial begins again.
    found = tune(resume="same")
    assert found.complete and found.trials[1].state in (COMPLETE, PRUNED)


def test_a_damaged_trial_fails_and_does_not_end_the_search(text, faked):
    asked = {**ASKED, "trials": 1, "name": "bad", "search": ["lr"], "batch": 16}
    with tune_events(text, **asked) as events:
        next(event for event in events if isinstance(event, OfRun) and isinstance(event.event, Evaluated))
    for path in Path("checkpoints/bad/trial-000").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    found = tune(resume="bad")
    assert found.trials[0].state == FAILED and "No checkpoint of the run" in found.trials[0].why and found.complete


def test_a_journal_says_whether_its_search_has_ended(tmp_path):
    made, journal = Study(tmp_path / "journal", space({}, None), 0), tmp_path / "journal"
    fill(made, 1)
    assert not study.has_ended(journal)
    made.end()
    assert study.has_ended(journal) and made.is_ended


def test_no_trial_begins_that_cannot_end(monkeypatch):
    """With 10 minutes: three trials of 3 minutes, 12 s of which are overrun; then a minute is not enough for half."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(searching, "perf_counter", lambda: clock.now)
    begun = []
    made = object.__new__(searching.Trials)
    made.record = SimpleNamespace(trials=None, minutes=10.0, trial_minutes=3.0)
    made.began, made.used = 100.0, 0.0
    finished = []
    made.study = SimpleNamespace(
        finished=lambda: finished, begin=lambda **facts: begun.append(facts["minutes"]) or facts
    )
    while made._next():
        took = 60 * begun[-1] + 4
        finished.append(SimpleNamespace(state=COMPLETE, facts={"seconds": took, "minutes": begun[-1]}))
        clock.now += took
    assert begun == [3.0, 3.0, 3.0]
    # With 8 minutes the last trial is shorter, in whole seconds: 480 - 2 * 184 - 4 - 1.5 = 106.
    clock.now, made.record.minutes = 100.0 + 2 * 184, 8.0
    made._next()
    assert begun[-1] == 106 / 60
    # The time that the search took before it was killed counts.
    clock.now, made.used = 100.0, 400.0
    assert made._next() is None


def test_events_are_told_in_order(unbroken, text, faked):
    # A search that was killed before its first file left this folder.
    Path("checkpoints/text").mkdir(parents=True)
    kinds = [
        type(event).__name__
        for event in tune_events(text, **{**ASKED, "trials": 1, "name": "text"})
        if not isinstance(event, OfRun)
    ]
    assert kinds == ["SearchBegan", "TrialBegan", "TrialEnded", "SearchEnded"]
