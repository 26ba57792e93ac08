"""Threads that help the one that steps: they compute panels of its products (`charrnn.compiled.team`)."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from time import perf_counter

import numpy as np

from charrnn.compiled.team import STOP, TICKET

# More threads than this would wait for memory, and for each other.
MOST = 4
# After so many calls it is measured again which way is faster.
AGAIN = 32
# Of so many last measurements of a way the fastest counts: others were interrupted, or were the first to touch memory.
KEPT = 4


class Helpers:
    """Threads that help as long as it is faster with them: other programs may need the cores."""

    def __init__(self, count: int):
        self.count, self._calls = count, 0
        # Of a step without and with help.
        self._seconds: tuple[deque[float], deque[float]] = (deque(maxlen=KEPT), deque(maxlen=KEPT))
        # Of several threads that step, they help one.
        self._free = Lock()
        self._process = 0
        self._pool: ThreadPoolExecutor | None = None

    def run(self, steps: Callable[[], int], help: Callable[[], None], job: np.ndarray) -> None:
        """Call `steps`, which returns how many it has made; with the threads, which call `help`, if that was faster."""
        if not self.count or not self._free.acquire(blocking=False):
            steps()
            return
        try:
            helped, began = self._choice(), perf_counter()
            made = self._helped(steps, help, job) if helped else steps()
            self._seconds[helped].append((perf_counter() - began) / max(1, made))
        finally:
            self._free.release()

    def _choice(self) -> bool:
        """Return whether to be helped: every second of the first four calls is, then the faster way is gone, mostly."""
        self._calls += 1
        if self._calls <= 4:
            return self._calls % 2 == 1
        alone, helped = map(min, self._seconds)
        return (helped <= alone) != (self._calls % AGAIN == 0)

    def _helped(self, steps: Callable[[], int], help: Callable[[], None], job: np.ndarray) -> int:
        coming: list[Future[None]] = []
        job[TICKET] = 0
        try:
            # If no thread can be started, which the system and a Python that ends may refuse, it goes without.
            with suppress(RuntimeError):
                coming += (self._threads().submit(help) for _ in range(self.count))
            return steps()
        finally:
            job[TICKET] = STOP
            for one in coming:
                # One that has not begun need not come.
                if not one.cancel():
                    one.result()

    def _threads(self) -> ThreadPoolExecutor:
        """Return the pool of this process; a copy of the process has none of the threads."""
        if self._pool is None or self._process != os.getpid():
            self._process, self._pool = os.getpid(), ThreadPoolExecutor(self.count, "charrnn-helper")
        return self._pool
