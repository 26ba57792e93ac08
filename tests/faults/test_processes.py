"""Promise 16: of several processes one that dies ends all, soon and with a reason; the run goes on exactly."""

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from charrnn.atomic import TEMPORARY
from charrnn.runs.folder import Run
from support.harness import FEW, MANY, differences, libraries, write_text
from support.tally import SOAK, Tally, share
from support.team import Team, newest

pytestmark = pytest.mark.trains

STEPS = share(120, 300)
# Two shards, whatever the number of cores: one for each of two processes, or both in one.
SETTINGS = ("--units", 8, "--batch", 32, "--seq", 8, "--dropout", 0.3, "--patience", 0, "--keep", 2, "--name", "run")
TIMES = ("--steps", STEPS, "--eval-every", STEPS // 2, "--save-every", 20)
# Who is killed, and when; which of the steps of a start-up is cut short is left to chance.
KILLS = [(who, when) for when in ("start", "step", "save") for who in (1, 0)]
# The promise is a minute; on a machine that is busy with other tests it may take longer.
WITHIN = 60.0 if SOAK else 300.0


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def unbroken(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("unbroken")
    with Team(folder, text, *SETTINGS, *TIMES, keep_compiled=True) as team:
        team.succeed()
    return Run(folder / "run")


def begin(folder: Path, text: Path, count: int = 2) -> Team:
    """Start the run, or go on with it."""
    if newest(Run(folder / "run")) is None:
        # As a person would after a crash before anything was saved.
        shutil.rmtree(folder / "run", ignore_errors=True)
        return Team(folder, text, *SETTINGS, *TIMES, count=count)
    return Team(folder, "--resume", "run", count=count)


@pytest.mark.promise(16)
@pytest.mark.parametrize("number", range(share(1, 5)))
def test_a_killed_process_ends_all_and_the_run_goes_on_exactly(
    number: int, text: Path, unbroken: Run, tmp_path: Path, tally: Tally
) -> None:
    run, rng = Run(tmp_path / "run"), random.Random(number)
    for who, when in rng.sample(KILLS, len(KILLS)) if SOAK else (KILLS[0], KILLS[-1]):
        with begin(tmp_path, text) as team:
            before = newest(run)
            if when == "start":
                many = rng.randint(FEW, MANY)
                process = team.processes[who]
                alive = team.wait_for(lambda process=process, many=many: libraries(process) >= many, every=0.005)
            else:
                alive = team.wait_for(lambda before=before: newest(run) != before)
            if when == "save":
                alive = team.wait_for(lambda: any(tmp_path.glob(f"run/.*{TEMPORARY}")))
            team.processes[who].kill()
            # Raises if one of them outlives the other by more.
            ends = team.ended(within=WITHIN)
            tally.inject(landed=alive)
            (code, talk) = ends[1 - who]
            told = f"{who} killed ({when}), the other ended with {code}: {talk[-1000:]}"
            tally.check(code == 1 or not alive, told)
            tally.check(talk.count("Another process of this run has ended") == 1 or not alive, told)
            tally.check("Traceback" not in talk and "Check failure" not in talk, told)
            if newest(run) is None:
                tally.check(who == 0 or not run.path.exists(), f"a folder was left ({when})")
    # By turns in another number of processes: the batch is cut as before.
    with begin(tmp_path, text, count=1 + number % 2) as team:
        for code, talk in team.ended():
            tally.check(code == 0, talk[-500:])
    for difference in differences(unbroken, run):
        tally.fail(difference)
    assert tally.landed >= tally.injected - 1, "a kill is to meet a living process"


@pytest.mark.promise(16)
def test_a_signal_to_one_saves_and_ends_all(text: Path, tmp_path: Path, tally: Tally) -> None:
    run = Run(tmp_path / "run")
    with begin(tmp_path, text) as team:
        assert team.wait_for(lambda: newest(run))
        team.processes[1].send_signal(signal.SIGTERM)
        tally.inject()
        (first, talk), (second, _) = team.ended(within=WITHIN)
    tally.check((first, second) == (128 + signal.SIGINT, 128 + signal.SIGTERM), f"exit codes {first}, {second}: {talk}")
    tally.check("saved. Continue with: charrnn train --resume" in talk, talk)


def losses(run: Run) -> list[tuple[float, float]]:
    records = map(json.loads, run.log.path.read_text().splitlines())
    return [(record["train_nats"], record["val_nats"]) for record in records if "part" not in record]


# That one process ends as two do is seen above, to the bit; what shards change, in tests/training/test_step.py.
@pytest.mark.slow
@pytest.mark.promise(16)
def test_the_loss_does_not_depend_on_how_many_compute_it(text: Path, tmp_path: Path, tally: Tally) -> None:
    """Devices, processes, one core, four processes: 50 steps with dropout, the loss every five."""
    options = ("--units", 8, "--batch", 64, "--seq", 8, "--dropout", 0.3, "--steps", 50, "--eval-every", 5, "--name")
    ways = [("devices", 1, False), ("processes", 2, False), ("device", 1, True), ("four", 4, False)]
    for name, count, one_core in ways:
        if one_core and not hasattr(os, "sched_setaffinity"):
            continue
        with Team(tmp_path, text, *options, name, count=count, one_core=one_core) as team:
            team.succeed()
        tally.inject()
    expected = losses(Run(tmp_path / "devices"))
    assert len(expected) == 10
    for name, *_ in ways[1:]:
        for pair, others in zip(losses(Run(tmp_path / name)), expected, strict=True):
            apart = max(abs(a / b - 1) for a, b in zip(pair, others, strict=True))
            tally.check(apart < 1e-5, f"{name}: {pair} instead of {others}")
