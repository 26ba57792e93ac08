"""Promise 1, of a comparison: killed at any moment, parent or child or both, it goes on to the same runs."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from charrnn.api.comparison import Comparison, load_comparison
from charrnn.atomic import TEMPORARY
from charrnn.runs.comparison import read
from charrnn.runs.folder import Run
from support.compilation import READ_ONLY
from support.harness import LIMIT, differences, write_text
from support.tally import SOAK, Tally, share

STEPS = 60 if SOAK else 20

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc"),
]


@dataclass
class Compared:
    """A comparison of two cells in `folder` on `text`, saved every other step."""

    folder: Path
    text: Path

    @property
    def path(self) -> Path:
        return self.folder / "both"

    @property
    def runs(self) -> list[Run]:
        return [Run(self.path / f"{cell}-seed0") for cell in ("rnn", "gru")]

    def start(self, keep_compiled: bool = False) -> subprocess.Popen:
        settings = "--cell rnn,gru --layers 1 --units 8 --batch 16 --seq 8 --eval-every 9 --patience 0"
        words = f"{shlex.quote(str(self.text))} {settings} --steps {STEPS} --name both --vary save_every=2"
        words = "--resume both" if (self.path / "comparison.json").is_file() else words
        return subprocess.Popen(
            [sys.executable, "-m", "charrnn", "compare", *shlex.split(words), "--checkpoints", str(self.folder), "-q"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **({} if keep_compiled else READ_ONLY), "KERAS_BACKEND": "jax"},
        )

    def finish(self) -> Comparison:
        process = self.start(keep_compiled=True)
        _, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, stderr
        return load_comparison(self.path)

    def moment(self) -> tuple[object, ...]:
        """Return what changes with each save of each run."""
        return tuple(run.newest() for run in self.runs)

    def wait(self, process: subprocess.Popen, saves: int) -> bool:
        """Wait for a number of saves, from now; return whether they came before the process ended."""
        deadline = time.monotonic() + LIMIT
        for _ in range(saves):
            before = self.moment()
            while self.moment() == before:
                if process.poll() is not None or time.monotonic() > deadline:
                    return False
                time.sleep(0.001)
        return True


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("unbroken")
    chain = Compared(folder, write_text(folder / "text.txt"))
    chain.finish()
    return chain


def children(process: subprocess.Popen) -> list[int]:
    """Return the processes that a process began and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            after_name = stat.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == process.pid:
                found.append(int(stat.parent.name))
    return found


@pytest.mark.promise(1)
@pytest.mark.parametrize("number", range(share(1, 5)))
def test_a_comparison_is_exact_after_every_kill(number: int, unbroken: Compared, tmp_path: Path, tally: Tally) -> None:
    rng, chain = random.Random(number), Compared(tmp_path, unbroken.text)
    victims = ["parent", "child", "both"]
    # In the soak ten kills, also before anything is saved; here one while each of the two runs is trained.
    for number_of_kill in range(share(2, 10)):
        victim = rng.choice(victims) if SOAK else victims[number_of_kill]
        process = chain.start()
        try:
            saves = rng.randint(0, 6) if SOAK else (3, STEPS // 2 - 3)[number_of_kill]
            in_time = chain.wait(process, saves)
            time.sleep(rng.uniform(0, 0.01 if saves else 3.0))
            doomed = children(process) if victim != "parent" else []
            landed = in_time and process.poll() is None and (victim == "parent" or bool(doomed))
            if victim == "parent" or victim == "both":
                process.kill()
            for child in doomed:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            if victim == "child":
                # The parent records the failure, and trains the other run.
                process.communicate(timeout=LIMIT)
        finally:
            process.kill()
            process.communicate()
        tally.inject(landed=landed)
    result = chain.finish()
    tally.check(result.is_complete and not read(chain.path).failures, f"not complete: {read(chain.path).failures}")
    for one, other in zip(unbroken.runs, chain.runs, strict=True):
        for difference in differences(one, other):
            tally.fail(f"{one.name}: {difference}")
        left = [path.name for path in other.path.glob(f".*{TEMPORARY}")]
        tally.check(not left, f"temporary files were left: {left}")
    before = load_comparison(unbroken.path)
    for row, wanted in zip(result.rows, before.rows, strict=True):
        tally.check((row.name, row.bits_per_char) == (wanted.name, wanted.bits_per_char), f"{row} is not {wanted}")
