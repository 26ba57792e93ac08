"""The promises of a run under injected faults (docs/reliability.md): a small share here, all of it in `make soak`."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where `make soak` collects what its tests counted; unset in the ordinary suite.
SOAK = os.environ.get("CHARRNN_SOAK")


def share(suite: int, full: int) -> int:
    """Return how often to inject: `full` times in `make soak`, `suite` times else."""
    return full if SOAK else suite


class Tally:
    """What a test of one promise injected, how much of it landed, and what went wrong.

    A test calls `inject` once for each fault and `fail` for each promise that it found broken, and goes on.
    """

    def __init__(self) -> None:
        self.promise = 0
        self.injected = self.landed = 0
        self.failures: list[str] = []

    def inject(self, landed: bool = True) -> None:
        self.injected += 1
        self.landed += landed

    def fail(self, what: str) -> None:
        self.failures.append(what)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.fail(what)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Return the tally of a test marked `promise(number)`; failures, and a test that injected nothing, fail it."""
    tally, began = Tally(), time.time()
    marker = request.node.get_closest_marker("promise")
    tally.promise = marker.args[0]
    yield tally
    if SOAK:
        record = {
            "promise": tally.promise,
            "test": request.node.nodeid,
            "injected": tally.injected,
            "landed": tally.landed,
            "failures": len(tally.failures),
            "seconds": round(time.time() - began, 1),
        }
        # One write of one line: workers append side by side.
        with open(Path(SOAK), "a") as file:
            file.write(json.dumps(record) + "\n")
    assert not tally.failures, f"{len(tally.failures)} failures, the first: {tally.failures[:3]}"
    assert tally.injected, "nothing was injected"
