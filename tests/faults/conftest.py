"""The promises of a run under injected faults (docs/reliability.md): a small share here, all of it in `make soak`."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.tally import SOAK, Tally


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
