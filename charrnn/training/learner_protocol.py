"""What the trainer asks of whatever learns: all that knows Keras is on the other side of it."""

from typing import NamedTuple, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]


class State(NamedTuple):
    """All that learning changes, by name: weights, optimizer slots, and the hidden state of all streams."""

    weights: Arrays
    slots: Arrays
    hidden: Arrays


class Learner(Protocol):
    """A network that is trained step by step, on what it has been given to read.

    `shards` is the number of parts into which it cuts a batch, `device` is "cpu" or "gpu". The next step is a function
    of its state and of the step's number and rate alone.
    """

    steps_per_epoch: int
    shards: int
    backend: str
    device: str

    def step(self, number: int, rate: float) -> tuple[float, int | None]:
        """Take step `number` (from 0); return its mean loss in nats, and how many of the targets counted in it.

        The targets are those that this process reads; None: all count.
        """

    def estimate(self) -> float | None:
        """Return the estimated validation loss in nats a character; None where there is no text to validate on."""

    def state(self) -> State:
        """Return a copy of the state."""

    def restore(self, state: State) -> None:
        """Go back to a state; CharRNNError if it is that of another optimizer."""
