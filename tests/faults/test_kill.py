"""Promise 1: resume is exact, however often and wherever the process is killed."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from support.harness import STEPS, Chain, differences, write_text
from support.labelled import write_labelled
from support.tally import SOAK, Tally, share

# Where the kills are to land.
AIMS = {"save": 5, "step": 3, "start": 2} if SOAK else {"save": 2, "step": 1, "start": 1}

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("CHARRNN_SOAK_TEXT")
    return Path(given) if given else write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def unbroken(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Chain]:
    """Return, by shards, a run that nothing disturbed: one is trained by JAX, two, in the soak, by TensorFlow."""

    @cache
    def run(shards: int) -> Chain:
        # In the ordinary suite the run of two shards is killed but once.
        chain = Chain(tmp_path_factory.mktemp("unbroken"), text, shards)
        if shards == 2:
            chain.steps, chain.backend = (STEPS, "tensorflow") if SOAK else (40, "jax")
        chain.finish()
        return chain

    return run


@pytest.mark.promise(1)
@pytest.mark.parametrize("number", range(share(1, 30)))
def test_resume_is_exact_after_every_kill(
    number: int, unbroken: Callable[[int], Chain], tmp_path: Path, tally: Tally
) -> None:
    _killed_and_resumed(unbroken(1 + number % 2), tmp_path, random.Random(number), AIMS, tally)


@pytest.mark.promise(1)
@pytest.mark.parametrize("number", range(share(1, 10)))
def test_resume_with_labels_is_exact_after_every_kill(number: int, tmp_path: Path, tally: Tally) -> None:
    steps = STEPS if SOAK else 24
    reference = Chain(tmp_path / "unbroken", write_labelled(tmp_path / "texts.tsv"), 1 + number % 2, steps)
    reference.finish()
    aims = AIMS if SOAK else {"save": 1, "step": 1}
    _killed_and_resumed(reference, tmp_path / "killed", random.Random(number), aims, tally)


def _killed_and_resumed(reference: Chain, folder: Path, rng: random.Random, aims: dict[str, int], tally: Tally) -> None:
    """Kill a run again and again, let it go to its end, and compare it with the reference."""
    chain = replace(reference, folder=folder)
    for aim in rng.sample(list(aims), k=sum(aims.values()), counts=list(aims.values())):
        before = chain.left_over()
        process = chain.start()
        try:
            killed = _reach(aim, chain, process, before, rng)
            process.kill()
        finally:
            process.communicate()
        # What a kill inside a save leaves behind is the file that was being written.
        tally.inject(landed=bool(chain.left_over() - before))
        tally.check(killed, f"the run ended before it could be killed ({aim})")
    chain.finish()
    for difference in differences(reference.run, chain.run):
        tally.fail(difference)
    names = [[path.name for path in run.checkpoints()] for run in (reference.run, chain.run)]
    tally.check(names[0] == names[1], f"checkpoints: {names}")
    tally.check(not chain.left_over(), "temporary files were left")
    assert tally.landed >= aims["save"], f"{tally.landed} of {tally.injected} kills landed inside a save"


def _reach(aim: str, chain: Chain, process: subprocess.Popen, before: set[str], rng: random.Random) -> bool:
    """Wait for the moment to kill; return whether the process still ran then."""
    if aim == "start":
        return chain.wait_for_imports(process, rng)
    if not chain.wait_for_saves(process, chain.newest(), rng.randint(1, 3) if aim == "step" else 1):
        return False
    if aim == "step":
        time.sleep(rng.uniform(0, 0.01))
        return process.poll() is None
    saves = rng.randint(1, 3)
    while True:
        seen = chain.left_over()
        # It is there for milliseconds.
        if not chain.wait_for(process, lambda seen=seen: chain.left_over() - seen, every=0.0002):
            return False
        saves -= 1
        if saves <= 0 and _stopped(process) and chain.left_over() - seen:
            return True
        process.send_signal(signal.SIGCONT)


def _stopped(process: subprocess.Popen) -> bool:
    """Stop a process; return whether it did not end before."""
    process.send_signal(signal.SIGSTOP)
    return os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])


@pytest.mark.slow
@pytest.mark.promise(1)
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs to choose cores")
def test_resume_is_exact_on_another_number_of_cores(
    unbroken: Callable[[int], Chain], tmp_path: Path, tally: Tally
) -> None:
    reference = unbroken(2)
    chain = replace(reference, folder=tmp_path)
    # The number of shards is decided when the run begins, by the cores of then; the run keeps it.
    for one_core in (False, True, False, True)[: share(1, 4)]:
        newest, process = chain.newest(), chain.start(one_core)
        assert chain.wait_for(process, lambda newest=newest: chain.newest() != newest)
        process.kill()
        process.communicate()
        tally.inject()
    chain.finish(one_core=True)
    for difference in differences(reference.run, chain.run):
        tally.fail(difference)


def test_a_difference_would_be_seen(unbroken: Callable[[int], Chain]) -> None:
    assert differences(unbroken(1).run, unbroken(2).run)
    assert not differences(unbroken(1).run, unbroken(1).run)
