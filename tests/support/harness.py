"""A real `charrnn train` that is stopped again and again, resumed each time, and compared with one that ran through."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.atomic import TEMPORARY
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, read_header
from charrnn.runs.folder import Run
from support.compilation import READ_ONLY

STEPS = 150
# Of what takes seconds; who waits longer waits for ever.
LIMIT = 600.0


# As many libraries as a trainer has loaded when its imports are over, or a few less; when they begin.
FEW, MANY = 20, 150


def libraries(process: subprocess.Popen) -> int:
    """Return how many shared libraries a process has loaded: how far it has come with its imports (only on Linux)."""
    try:
        maps = Path(f"/proc/{process.pid}/maps").read_text()
    except OSError:
        return 0
    return len({line.rpartition(" ")[2] for line in maps.splitlines() if ".so" in line})


def write_text(path: Path) -> Path:
    """Write a text of 6,000 characters that is not quite random."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 6))) for _ in range(40)]
    path.write_text(" ".join(rng.choices(words, k=1500))[:6000])
    return path


@dataclass
class Chain:
    """A run in `folder` on `text`: an LSTM with dropout and Adam, saved every other step.

    A text that is a .tsv file has labels, which are predicted.
    """

    folder: Path
    text: Path
    shards: int
    steps: int = STEPS
    # JAX starts in half the time that TensorFlow takes.
    backend: str = "jax"

    @property
    def run(self) -> Run:
        return Run(self.folder / "run")

    def start(self, one_core: bool = False, keep_compiled: bool = False) -> subprocess.Popen:
        """Start the command: --resume if there is a checkpoint, else anew.

        What it compiles is kept only by one that nobody kills: see support/compilation.py.
        """
        common = ["--checkpoints", str(self.folder), "-qq"]
        if self.run.newest() is not None:
            words = ["--resume", "run", *common]
        else:
            shutil.rmtree(self.run.path, ignore_errors=True)
            settings = {"units": 8, "batch": 16 * self.shards, "seq": 8, "dropout": 0.3, "steps": self.steps}
            settings |= {"eval-every": 9, "save-every": 2, "keep": 2, "patience": 0, "name": "run"}
            # Longer than a window, so that what it sees comes from the checkpoint.
            settings |= {"attention": 12} if self.shards == 1 else {}
            labels = ["--labels"] if self.text.suffix == ".tsv" else []
            words = [str(self.text), *labels, *common, *(w for k, v in settings.items() for w in (f"--{k}", str(v)))]
        kept = {} if keep_compiled else READ_ONLY
        return subprocess.Popen(
            [sys.executable, "-m", "charrnn", "train", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **kept, "KERAS_BACKEND": self.backend},
            preexec_fn=(lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if one_core else None,
        )

    def finish(self, one_core: bool = False) -> None:
        """Let the run go to its end; one that was ended after its last step has nothing left to do."""
        newest = self.run.newest()
        if newest is not None and read_header(newest).step == self.steps:
            return
        process = self.start(one_core, keep_compiled=True)
        _, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, stderr

    def left_over(self) -> set[str]:
        """Return the temporary files in the run's folder: traces of saves that were cut off, or are under way."""
        try:
            return {entry.name for entry in os.scandir(self.run.path) if entry.name.endswith(TEMPORARY)}
        except FileNotFoundError:
            return set()

    def newest(self) -> str | None:
        path = self.run.newest()
        return path and path.name

    def wait_for_imports(self, process: subprocess.Popen, rng: random.Random) -> bool:
        """Wait for a random moment of the start, a save at the latest; return whether it came before the end."""
        newest, many = self.newest(), rng.randint(FEW, MANY)
        return self.wait_for(process, lambda: libraries(process) >= many or self.newest() != newest, every=0.005)

    def wait_for_saves(self, process: subprocess.Popen, newest: str | None, count: int) -> bool:
        """Wait until the run has saved so often since `newest`; return whether it did before the process ended."""
        for _ in range(count):
            if not self.wait_for(process, lambda newest=newest: self.newest() != newest):
                return False
            newest = self.newest()
        return True

    def wait_for(self, process: subprocess.Popen, happened: Any, every: float = 0.002) -> bool:
        """Look every so many seconds until something has happened; return whether it did before the process ended."""
        deadline = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < deadline:
            if happened():
                return True
            time.sleep(every)
        return False


def differences(one: Run, other: Run) -> list[str]:
    """Return in what two finished runs differ, times aside; nothing for equal ones."""
    found = []
    logs = [[_timeless(json.loads(line)) for line in run.log.path.read_text().splitlines()] for run in (one, other)]
    # The exact figures are computed by NumPy, which may round otherwise on another number of cores; a run that was
    # ended after its last step has none.
    parts = [[line["part"] for line in log if "part" in line] for log in logs]
    logs = [[line for line in log if "part" not in line] for log in logs]
    if logs[0] != logs[1] or (all(parts) and parts[0] != parts[1]):
        found.append(f"metrics.jsonl: {len(logs[0])} and {len(logs[1])} lines")
    for pick in (lambda run: run.checkpoints()[-1], lambda run: run.best):
        a, b = (read_checkpoint(pick(run), training=True) for run in (one, other))
        found += [f"{pick(other).name}: {what}" for what in _unequal(a, b)]
    return found


def _unequal(a: Checkpoint, b: Checkpoint) -> list[str]:
    found = []
    for part in ("weights", "slots", "state"):
        left, right = getattr(a, part), getattr(b, part)
        if list(left) != list(right) or any(left[n].tobytes() != right[n].tobytes() for n in left):
            found.append(part)
    for part in ("model", "training", "vocab", "history"):
        if _timeless(getattr(a, part)) != _timeless(getattr(b, part)):
            found.append(part)
    if _timeless(a.progress.to_json()) != _timeless(b.progress.to_json()):
        found.append("progress")
    return found


def _timeless(value: Any) -> Any:
    """Return JSON without what may differ: times, and the digest of a log that holds times."""
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in ("seconds", "metrics")}
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    assert not isinstance(value, np.ndarray)
    return value
