"""Promises 2 and 5: what a crash or a failing disk leaves of a run's folder while checkpoints are written."""

import errno
import os
import random
import shutil
from pathlib import Path

import pytest

import charrnn.atomic
import charrnn.runs.checkpoint
import charrnn.runs.log
from charrnn.errors import NotWritten
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint
from charrnn.runs.folder import Run
from support.checkpoints import MODEL, VOCAB, checkpoint
from support.disk import Disk
from support.tally import Tally, share

KEEP = 2


def save(run: Run, step: int, best: bool) -> None:
    run.log.append({"step": step})
    run.save(checkpoint(run, step, step if best else None), step, best, KEEP)


def is_step(found: Checkpoint, step: int) -> bool:
    """Return whether a checkpoint is, whole, the one that was saved at a step."""
    weights = initial_weights(MODEL, VOCAB.size, step)
    same = all(found.weights[name].tobytes() == array.tobytes() for name, array in weights.items())
    return found.step == step and same and bool((found.slots["000"] == step).all())


def saves(run: Run, disk: Disk, rng: random.Random, count: int) -> list[int]:
    """Save `count` steps; return, for each state of the disk, how many saves had ended before it."""
    ended: list[int] = []
    for step in range(1, count + 1):
        save(run, step, rng.random() < 0.5)
        ended += [step - 1] * (len(disk.states) - len(ended) - 1) + [step]
    return ended


@pytest.mark.promise(2)
def test_after_any_crash_the_old_or_the_new_checkpoint_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    rng, wanted = random.Random(2), share(500, 5000)
    folder = tmp_path / "run"
    folder.mkdir()
    disk = Disk(folder)
    with disk.at_work(monkeypatch):
        ended = saves(Run(folder), disk, rng, 6)
    # The model of the disk must agree with the disk, or it proves nothing.
    names = disk.state.names(disk.state.since)
    assert sorted(names) == sorted(os.listdir(folder))
    for name, number in names.items():
        content = disk.state.contents[number]
        assert content.after(content.since) == (folder / name).read_bytes(), name
    assert {"create", "write", "fsync", "rename", "unlink", "truncate"} == set(disk.operations)
    while tally.injected < wanted:
        for done, state in zip(ended, disk.states, strict=True):
            after = tmp_path / "after"
            shutil.rmtree(after, ignore_errors=True)
            after.mkdir()
            tally.inject(landed=state.rebuild(after, rng))
            _judge(after, done, tally)
    assert tally.landed > tally.injected / 3


def _judge(folder: Path, done: int, tally: Tally) -> None:
    """The newest valid checkpoint is that of the last save that ended, or of the one under way; its log is there."""
    run = Run(folder)
    if not done and run.newest() is None and not run.best.exists():
        return
    try:
        found, path, _ = run.load_newest()
        run.log.resume(found.progress.metrics)
    except Exception as error:
        if done:
            tally.fail(f"after {done} saves: {error}")
        return
    step = found.step
    tally.check(step in (done, done + 1) and is_step(found, step), f"after {done} saves {path.name} holds step {step}")


@pytest.mark.parametrize("lazy", ["fsync", "sync_folder"])
def test_a_write_that_is_not_flushed_would_be_noticed(
    lazy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    disk, tally, rng = Disk(folder), Tally(), random.Random(0)
    with disk.at_work(monkeypatch) as _, monkeypatch.context() as patch:
        if lazy == "fsync":
            flush = disk._fsync
            patch.setattr(os, "fsync", lambda fd: flush(fd) if os.path.isdir(f"/proc/self/fd/{fd}") else None)
        else:
            for module in (charrnn.atomic, charrnn.runs.log):
                patch.setattr(module, "sync_folder", lambda folder: None)
        ended = saves(Run(folder), disk, rng, 4)
    for _ in range(10):
        for done, state in zip(ended, disk.states, strict=True):
            after = tmp_path / "after"
            shutil.rmtree(after, ignore_errors=True)
            after.mkdir()
            state.rebuild(after, rng)
            _judge(after, done, tally)
    assert tally.failures


@pytest.mark.promise(5)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=["ENOSPC", "EIO", "EDQUOT"])
def test_a_failing_disk_never_costs_the_last_good_checkpoint(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """Every operation of a save fails in turn; the save after it makes up for it."""
    for at in range(1000):
        folder = tmp_path / str(at)
        folder.mkdir()
        countdown = [-1]

        def before(kind: str, countdown: list[int] = countdown) -> None:
            countdown[0] -= 1
            if countdown[0] == -1:
                raise OSError(number, os.strerror(number))

        run, disk = Run(folder), Disk(folder, before)
        with disk.at_work(monkeypatch):
            for step in (1, 2):
                save(run, step, best=step == 1)
            countdown[0] = at
            failed = False
            try:
                save(run, 3, best=True)
            except NotWritten as error:
                failed = True
                tally.check(os.strerror(number) in error.message, f"operation {at}: {error}")
            hit = countdown[0] < 0
            countdown[0] = -1
            if not hit:
                assert at > 10
                return
            tally.inject()
            found, path, warnings = Run(folder).load_newest()
            good = found.step in ((2, 3) if failed else (3,)) and is_step(found, found.step)
            tally.check(good and not warnings, f"operation {at}: {path.name}, {warnings}")
            save(run, 4, best=False)
        best = charrnn.runs.checkpoint.read_checkpoint(run.best, training=True)
        tally.check(is_step(best, 3), f"operation {at}: the best is step {best.step}")
        names = sorted(path.name for path in folder.iterdir())
        expected = {
            f"step-{step:08d}.safetensors" for step in ((3, 4) if "step-00000003.safetensors" in names else (2, 4))
        }
        tally.check(set(names) == {"best.safetensors", "metrics.jsonl", *expected}, f"operation {at}: {names}")
        lines = run.log.path.read_text().splitlines()
        tally.check(lines == [f'{{"step": {step}}}' for step in (1, 2, 3, 4)], f"operation {at}: {lines}")
    raise AssertionError("a save has no end")
