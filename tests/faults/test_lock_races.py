"""Promise 15: two trainers cannot spoil one run, and the lock of a dead process is free."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from support.harness import LIMIT, Chain, write_text
from support.tally import Tally, share

pytestmark = pytest.mark.trains
STEPS = 60

# Takes the lock again and again; while it holds it, nobody else may be inside. Ends by release, or by dying inside.
CONTENDER = """
import os, random, sys, time
from pathlib import Path
from charrnn.errors import CharRNNError
from charrnn.runs.lock import Lock
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng, inside = random.Random(seed), folder / "inside"
taken = refused = 0
deadline = time.monotonic() + 300
while taken < 5 and time.monotonic() < deadline:
    lock = Lock(folder)
    try:
        lock.acquire()
    except CharRNNError:
        refused += 1
        time.sleep(rng.uniform(0, 0.002))
        continue
    if lock.descriptor is None:
        sys.exit("no lock was taken")
    try:
        inside.rmdir()
        # Whoever died inside has left this; whoever lives inside would miss it.
    except FileNotFoundError:
        pass
    inside.mkdir()
    time.sleep(rng.uniform(0, 0.002))
    try:
        inside.rmdir()
    except FileNotFoundError:
        sys.exit("another was inside")
    taken += 1
    if taken == 5 and seed % 2:
        inside.mkdir()
        print(taken, refused, flush=True)
        os.kill(os.getpid(), 9)
    lock.release()
print(taken, refused, flush=True)
"""


@pytest.mark.promise(15)
def test_nobody_else_is_inside(tmp_path: Path, tally: Tally) -> None:
    for race in range(share(9, 80)):
        folder = tmp_path / str(race)
        folder.mkdir()
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", CONTENDER, str(folder), str(4 * race + n)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for n in range(4)
        ]
        refused = 0
        for process in processes:
            out, stderr = process.communicate(timeout=LIMIT)
            tally.check(process.returncode in (0, -9), f"race {race}: exit {process.returncode}: {stderr}")
            taken = out.split()
            tally.check(taken[:1] == ["5"], f"race {race}: {out!r} {stderr}")
            refused += int(taken[1]) if len(taken) > 1 else 0
        tally.inject(landed=refused > 0)
    assert tally.landed > tally.injected / 2


@pytest.mark.promise(15)
def test_two_commands_resume_one_run(tmp_path: Path, tally: Tally) -> None:
    rng, text = random.Random(15), write_text(tmp_path / "text.txt")
    for race in range(share(1, 20)):
        # Somewhere in the middle, so that there is something to resume.
        chain = Chain(tmp_path / str(race), text, 1, STEPS)
        chain.folder.mkdir()
        first = chain.start()
        assert chain.wait_for(first, lambda chain=chain: chain.newest() is not None)
        if rng.random() < 0.5:
            first.kill()
        else:
            first.terminate()
        first.communicate()
        # Only one of them trains, and nobody kills it.
        processes = [chain.start(keep_compiled=True) for _ in range(2)]
        results = [[*process.communicate(timeout=LIMIT)][1] for process in processes]
        codes = sorted(process.returncode for process in processes)
        refusals = [text for text in results if "is being trained: " in text or "end of its budget" in text]
        # Both end well only if one came after the other had ended.
        tally.inject(landed=codes == [0, 1])
        tally.check(codes in ([0, 1], [1, 1]) and len(refusals) == codes.count(1), f"race {race}: {codes} {results}")
    assert tally.landed
