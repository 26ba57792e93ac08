"""Promise 6: keep-N, best and newest are exact through any history, and nothing that is not ours is removed."""

import os
import random
import shutil
from pathlib import Path

import pytest

from charrnn.atomic import TEMPORARY
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from support.checkpoints import checkpoint
from support.disk import Disk
from support.tally import Tally, share

STRAYS = (
    "notes.txt",
    "step-1.safetensors",
    "step-00000001.safetensors.bak",
    "step-000000010.safetensors",
    "best.safetensors.old",
    f".mine{TEMPORARY}",
    ".step-00000001.safetensors.charrnn-tmp",
    "step-00000003",
    "corpus.txt",
)


class Crash(BaseException):
    """The process is gone: whatever it would still do fails as well."""


class Mortal(Disk):
    """A disk whose user dies at the operation that `countdown` comes to; it keeps no states."""

    def __init__(self, folder: Path):
        super().__init__(folder, self._count)
        self.countdown: int | None = None

    def _count(self, kind: str) -> None:
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown < 0:
                raise Crash

    def note(self, kind: str) -> None:
        self.operations.append(kind)


@pytest.mark.promise(6)
def test_random_histories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    # What the crash of a machine does is promise 2's; here only processes die, and no flush is waited for.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for number in range(share(200, 10000)):
        rng = random.Random(number)
        folder = tmp_path / "run"
        folder.mkdir()
        disk = Mortal(folder)
        with disk.at_work(monkeypatch):
            crashes = _history(folder, disk, rng, tally, f"history {number}")
        tally.inject(landed=crashes > 0)
        shutil.rmtree(folder)
    assert tally.landed > tally.injected / 3


def _history(folder: Path, disk: Mortal, rng: random.Random, tally: Tally, where: str) -> int:
    run, step, crashes = Run(folder), 0, 0
    there: list[int] = []
    best: int | None = None
    strays: dict[str, str] = {}
    for _ in range(rng.randint(3, 8)):
        if rng.random() < 0.4:
            name = rng.choice(STRAYS)
            strays[name] = str(rng.random())
            (folder / name).write_text(strays[name])
        step += rng.randint(1, 50)
        is_best, keep = rng.random() < 0.4, rng.randint(1, 4)
        disk.countdown = rng.randint(0, 25) if rng.random() < 0.4 else None
        try:
            run.log.append({"step": step})
            run.save(checkpoint(run, step, None), step, is_best, keep)
        except Crash:
            crashes += 1
            disk.countdown = None
            # The next process begins from what is there: the old or the new checkpoint.
            run = Run(folder)
            found = [int(path.name[5:13]) for path in run.checkpoints()]
            whole = (found == there, found == [*there, step], set(found) < {*there, step} and step in found)
            tally.check(any(whole), f"{where}: {found} after a crash while {step} was saved, {there} before")
            there = found
            on_disk = read_checkpoint(run.best).step if run.best.exists() else None
            tally.check(on_disk in ({best, step} if is_best else {best}), f"{where}: best is {on_disk}")
            best = on_disk
            if there:
                position = read_checkpoint(run.checkpoints()[-1]).progress.metrics
                run.log.resume(position)
            continue
        disk.countdown = None
        there, best = [*there, step][-keep:], step if is_best else best
        expected = {f"step-{known:08d}.safetensors" for known in there} | {"metrics.jsonl"}
        expected |= {"best.safetensors"} if best is not None else set()
        names = {path.name for path in folder.iterdir()}
        tally.check(names == expected | set(strays), f"{where}: {sorted(names)}, expected {sorted(expected)}")
        tally.check(run.newest() == folder / f"step-{step:08d}.safetensors", f"{where}: newest is {run.newest()}")
        if best is not None:
            tally.check(read_checkpoint(run.best).step == best, f"{where}: the best is not {best}")
    for name, text in strays.items():
        tally.check((folder / name).is_file() and (folder / name).read_text() == text, f"{where}: {name} is gone")
    return crashes
