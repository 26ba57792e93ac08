"""Promise 12: signals at any moment, imports and compilation included; resuming afterwards is exact."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.harness import LIMIT, Chain, differences, write_text
from support.tally import Tally, share

SIGNALS_A_CHAIN = share(5, 10)
# So many that the run is not over before its last signal.
STEPS = 200

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("unbroken")
    chain = Chain(folder, write_text(folder / "text.txt"), 1, STEPS)
    chain.finish()
    return chain


def _wait_for_handlers(process: subprocess.Popen) -> None:
    """Wait until the process catches SIGTERM; before that it is Python that starts, and none of our code runs."""
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.0005)


@pytest.mark.promise(12)
@pytest.mark.parametrize("number", range(share(1, 20)))
def test_signals_at_random_moments(number: int, unbroken: Chain, tmp_path: Path, tally: Tally) -> None:
    chain, rng = Chain(tmp_path, unbroken.text, unbroken.shards, STEPS), random.Random(number)
    for _ in range(SIGNALS_A_CHAIN):
        before = chain.newest()
        process = chain.start()
        try:
            _wait_for_handlers(process)
            # Half of them while Python imports and the backend compiles, half of them while it trains.
            if rng.random() < 0.5:
                chain.wait_for_imports(process, rng)
            else:
                chain.wait_for_saves(process, before, rng.randint(1, 5))
            time.sleep(rng.uniform(0, 0.005))
            ending, twice = rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]), rng.random() < 0.2
            if rng.random() < 0.3:
                process.send_signal(signal.SIGUSR1)
            alive = process.poll() is None
            process.send_signal(ending)
            if twice:
                time.sleep(rng.uniform(0, 0.02))
                process.send_signal(ending)
            _, stderr = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
            process.communicate()
        tally.inject(landed=alive)
        if alive:
            _judge(chain, before, process.returncode, stderr, ending, twice, tally)
    chain.finish()
    for difference in differences(unbroken.run, chain.run):
        tally.fail(difference)
    assert tally.landed > tally.injected / 2


def _judge(chain: Chain, before: str | None, code: int, stderr: str, ending: int, twice: bool, tally: Tally) -> None:
    lines = stderr.splitlines()
    if code == 0:
        # It came with the last step, or after it: all is done, which -qq says nothing of.
        tally.check(not any(word in stderr for word in ("Traceback", "nterrupted", "Stopped")), f"exit 0: {stderr}")
        return
    tally.check(code == 128 + ending, f"exit {code} after signal {ending}: {stderr}")
    tally.check("Traceback" not in stderr, stderr)
    newest = chain.newest()
    if newest is None:
        # That little text validates may have been said before it.
        told = [line for line in lines if not line.endswith("Use a larger --val, or a longer text.")]
        tally.check(len(told) == 1 and "nterrupted" in lines[-1], f"before the first step: {stderr!r}")
        tally.check(not chain.run.path.exists() or twice, f"left behind: {list(chain.folder.rglob('*'))}")
    elif newest != before and not twice:
        step = int(newest.removeprefix("step-").removesuffix(".safetensors"))
        said = f"Stopped after step {step:,}, saved." in stderr or "The run is saved" in stderr
        tally.check(said and "charrnn " in lines[-1], f"{newest}: {stderr!r}")


@pytest.mark.promise(12)
def test_sigusr1_saves_and_goes_on(unbroken: Chain, tmp_path: Path, tally: Tally) -> None:
    chain = Chain(tmp_path, unbroken.text, unbroken.shards, STEPS)
    process = chain.start()
    assert chain.wait_for(process, lambda: chain.newest() is not None)

    # Saves are due at even steps, and at evaluations, which are every ninth: only a wish makes one at another.
    def steps() -> list[int]:
        return [int(path.name[5:13]) for path in chain.run.checkpoints()]

    def wished() -> bool:
        return any(step % 2 and step % 9 for step in steps())

    # Many a wish comes at a step that is saved anyway: the next one may not. When all is done, a signal would end it.
    while process.poll() is None and tally.landed < share(3, 20) and max(steps(), default=0) < STEPS // 2:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.005)
        tally.inject(wished())
    _, stderr = process.communicate(timeout=LIMIT)
    tally.check(process.returncode == 0, stderr)
    assert tally.landed
    for difference in differences(unbroken.run, chain.run):
        tally.fail(difference)


@pytest.mark.promise(12)
def test_what_the_parent_ignores_stays_ignored(unbroken: Chain, tmp_path: Path, tally: Tally) -> None:
    """As under nohup, and for what a script starts with &."""
    chain = Chain(tmp_path, unbroken.text, unbroken.shards, STEPS // 2)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = chain.start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert chain.wait_for(process, lambda: chain.newest() is not None)
    os.kill(process.pid, signal.SIGINT)
    tally.inject(process.poll() is None)
    _, stderr = process.communicate(timeout=LIMIT)
    tally.check(process.returncode == 0, stderr)
    assert tally.landed


@pytest.mark.promise(12)
def test_a_signal_while_tensorflow_loads_gets_its_line(unbroken: Chain, tmp_path: Path, tally: Tally) -> None:
    """What native code writes to stderr then is held back; what we write must not be."""
    for number in range(share(1, 20)):
        chain = Chain(tmp_path / str(number), unbroken.text, 2, backend="tensorflow")
        chain.folder.mkdir()
        process = chain.start()
        _wait_for_handlers(process)
        maps = Path(f"/proc/{process.pid}/maps")
        alive = chain.wait_for(process, lambda maps=maps: "tensorflow" in maps.read_text())
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT)
        tally.inject(alive)
        tally.check(process.returncode == 143, f"exit {process.returncode}")
        tally.check(stderr.endswith("\nInterrupted before the first step: nothing was written.\n"), repr(stderr))
        tally.check(not chain.run.path.exists(), "a folder was left")
    assert tally.landed
