"""How often faults are injected, and what came of it."""

import os

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
