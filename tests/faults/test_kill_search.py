"""A search is exact, however often it is killed: the parent, the child that trains, or both, at random moments."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from charrnn.api.tuning import tune
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from support.harness import write_text

pytestmark = [pytest.mark.trains, pytest.mark.slow]

KILLS, TRIALS, STEPS = 10, 5, 48


def start(folder: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "charrnn", "tune", *words, "--checkpoints", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )


def new(folder: Path, text: Path) -> list[str]:
    words = {"units": 8, "batch": 16, "seq": 8, "trials": TRIALS, "steps": STEPS, "name": "search", "seed": 1}
    return [str(text), "--keep-all", *(word for key, value in words.items() for word in (f"--{key}", str(value)))]


def children(process: subprocess.Popen) -> list[int]:
    """Return the ids of the processes that a process has begun."""
    return [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_search_that_is_killed_ten_times_is_the_same(tmp_path):
    text, rng, kills, aims = write_text(tmp_path / "text.txt"), random.Random(3), 0, []
    began = time.monotonic()
    reference = start(tmp_path / "unbroken", *new(tmp_path, text))
    assert reference.wait() == 0, reference.stderr.read().decode()
    unbroken = time.monotonic() - began
    reference.stderr.close()
    words = new(tmp_path, text)
    while kills < KILLS:
        process = start(tmp_path / "killed", *words)
        aim = rng.choice(["parent", "child", "both"])
        # On average a start and a little more, so that the search is not over too soon.
        deadline = time.monotonic() + rng.uniform(0, unbroken / 4)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            begun = children(process) if aim != "parent" else []
            for child in begun:
                os.kill(child, signal.SIGKILL)
            kills += bool(begun) or aim != "child"
            aims.append(aim)
            if aim == "child":
                # Its parent begins it again; then it is killed too.
                time.sleep(rng.uniform(0, 2))
                kills += 1
            process.kill()
        told = process.communicate()[1].decode()
        assert process.returncode in (0, -signal.SIGKILL), told
        if (tmp_path / "killed" / "search" / "tuning.json").exists():
            words = ["--resume", "search"]
        if process.returncode == 0:
            break
    assert kills >= KILLS // 2, aims
    one, other = (tune(resume="search", out=tmp_path / name) for name in ("unbroken", "killed"))
    assert one.complete and other.complete
    facts = [
        [(trial.state, trial.settings, trial.bits_per_char, trial.estimates) for trial in found.trials]
        for found in (one, other)
    ]
    assert facts[0] == facts[1]
    for trial in one.trials:
        runs = [Run(found.path / trial.name) for found in (one, other)]
        for pick in (lambda run: run.newest(), lambda run: run.best):
            a, b = (read_checkpoint(pick(run), training=True) for run in runs)
            assert a.step == b.step
            for part in ("weights", "slots", "state"):
                mine, theirs = getattr(a, part), getattr(b, part)
                assert mine.keys() == theirs.keys() and all(np.array_equal(mine[key], theirs[key]) for key in mine)
