"""A training function's speed from the difference of two lengths, and the windows that it reads; needs only NumPy."""

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np


def windows(ids: np.ndarray, batch: int, seq: int, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield inputs and targets, int32 (batch, seq), of contiguous streams; the text begins anew where it ends."""
    streams = ids[: len(ids) // batch * batch].reshape(batch, -1).astype(np.int32)
    count = (streams.shape[1] - 1) // seq
    for step in range(steps):
        low = step % count * seq
        yield streams[:, low : low + seq], streams[:, low + 1 : low + seq + 1]


def rate(train: Callable[[int], None], characters: int, seconds: float) -> float:
    """Return characters a second of `train(steps)`, a step being so many characters, over about so many seconds.

    What happens once a call, tracing included, cancels.
    """
    train(3)
    began = perf_counter()
    train(3)
    # At least as long as ten steps, so that the difference is no noise.
    more = max(10, int(seconds / ((perf_counter() - began) / 3)))
    began = perf_counter()
    train(3)
    short = perf_counter() - began
    began = perf_counter()
    train(3 + more)
    long = perf_counter() - began
    return more * characters / (long - short)
