"""Promise 14: the same seed gives the same bytes, trained and sampled, whatever else the machine is doing."""

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.harness import STEPS, Chain, differences, write_text
from support.tally import SOAK, Tally, share

BUSY = "import time\nend = time.monotonic() + 600\nwhile time.monotonic() < end: sum(range(10000))"


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep some cores busy meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.trains
@pytest.mark.promise(14)
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, tally: Tally) -> None:
    """In the soak beside busy neighbours; the ordinary suite leaves those alone."""
    rng, text = random.Random(14), write_text(tmp_path / "text.txt")
    size = (2, STEPS, "tensorflow") if SOAK else (1, 20)
    first = Chain(tmp_path / "first", text, *size)
    first.folder.mkdir()
    first.finish()
    expected = _sampled(first)
    for number in range(share(2, 19)):
        again = Chain(tmp_path / str(number), text, *size)
        again.folder.mkdir()
        with load(share(0, rng.randint(1, 4))):
            again.finish()
            sampled = _sampled(again)
        tally.inject()
        for difference in differences(first.run, again.run):
            tally.fail(f"run {number}: {difference}")
        tally.check(sampled == expected, f"run {number}: other text")


def _sampled(chain: Chain) -> str:
    command = [sys.executable, "-m", "charrnn", "sample", str(chain.run.best), "--length", "20000", "--seed", "5"]
    return hashlib.sha256(subprocess.run(command, capture_output=True, check=True).stdout).hexdigest()
