"""The interface between the trainer and the learner; only the learner uses Keras."""

from typing import NamedTuple, Protocol, SupportsFloat

import numpy as np

Arrays = dict[str, np.ndarray]


class State(NamedTuple):
    """Everything that learning changes, by name: weights, optimizer slots, and the hidden state of all streams."""

    weights: Arrays
    slots: Arrays
    hidden: Arrays


class Estimate(NamedTuple):
    """An estimate on the validation part: the loss in nats per character or, for labels, per label.

    `accuracy` is the fraction of the labels that are right, None if characters are predicted.
    """

    nats: float
    accuracy: float | None = None

    @property
    def measure(self) -> tuple[float, float]:
        """Return what is to be small: of labels the errors, and the loss where these are equal."""
        return (0.0 if self.accuracy is None else 1 - self.accuracy, self.nats)


class Learner(Protocol):
    """A network that is trained step by step on its text.

    `shards` is the number of parts into which it cuts a batch, `device` is "cpu" or "gpu"; `engine` computes
    the cells. The next step depends only on its state, the step's number and the learning rate.
    """

    steps_per_epoch: int
    shards: int
    backend: str
    device: str
    engine: str

    def step(self, number: int, rate: float) -> tuple[SupportsFloat, int | None]:
        """Take step `number` (from 0); return its mean loss in nats, and how many targets counted in it (None: all).

        On a GPU it may still be computing: `float` waits for the loss. The targets are those that this process reads.
        """

    def estimate(self) -> Estimate | None:
        """Return the estimate on the validation part; None if there is no text to validate on."""

    def read(self) -> Arrays:
        """Return a copy of the weights."""

    def gradient_norms(self, number: int) -> dict[str, float]:
        """Return the norms of the gradients of step `number`, the next one, by parameter, before any clipping.

        Nothing changes. If several processes train together, all must call it.
        """

    def state(self) -> State:
        """Return a copy of the state."""

    def restore(self, state: State) -> None:
        """Return to a state; CharRNNError if it belongs to another optimizer."""
