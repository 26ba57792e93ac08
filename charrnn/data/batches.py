"""The order in which training reads its text."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from charrnn.data.parts import Part
from charrnn.errors import CharRNNError

# A stream starts with a document that begins within a quarter of its length.
SOON = 4


class Window(NamedTuple):
    """The input of a step, all (time, batch): ids int32; each input is the character before its target.

    `reset` is true where a document begins and the state returns to its initial value; None if that never happens.
    `weights`, float32, say how much each target counts in the loss; None if all count equally.
    """

    inputs: np.ndarray
    targets: np.ndarray
    reset: np.ndarray | None = None
    weights: np.ndarray | None = None

    def each(self, take: Callable[[Any], Any]) -> "Window":
        """Return the window with the result of `take` for each array."""
        reset, weights = (None if array is None else take(array) for array in (self.reset, self.weights))
        return Window(take(self.inputs), take(self.targets), reset, weights)


@dataclass(frozen=True, eq=False)
class Streams:
    """`batch` contiguous streams of a text, read `seq` characters a window.

    Every window is a pure function of the fields and the step. Each epoch starts at another place of the text, which is
    read as a ring; `start` is the id of the start symbol. If documents reset the state, a stream starts with the next
    document if that is near: otherwise the model would learn that documents may begin in their middle.
    """

    part: Part
    batch: int
    seq: int
    seed: int
    start: int
    # Where the streams of an epoch start: of one epoch, as it takes a search.
    _starts: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise CharRNNError(
                f"The training part has {len(self.part):,} characters; {self.batch} streams of {self.seq} need "
                f"{self.batch * self.seq:,}.",
                hint="Use a smaller `batch` or `seq`, or a longer text.",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of windows in a stream."""
        return len(self.part) // self.batch // self.seq

    def starts(self, step: int) -> bool:
        """Return whether `step` begins an epoch: before it, the hidden state returns to its initial value."""
        return step % self.steps_per_epoch == 0

    def window(self, step: int, rows: slice = slice(None)) -> Window:
        """Return the window of `step` for some of the streams, by default all.

        The input is `start` where a stream begins its epoch, where the text begins, and where a document begins that
        resets the state.
        """
        n = len(self.part)
        epoch, window = divmod(step, self.steps_per_epoch)
        place = (self._first(epoch)[rows] + window * self.seq + np.arange(self.seq)[:, None]) % n
        targets, inputs = self.part.targets(place), self.part.at(place - 1)
        reset = self.part.begins(place) if self.part.resets else None
        inputs[(place == 0) if reset is None else reset] = self.start
        if window == 0:
            inputs[0] = self.start
        all_count = self.part.loss_after is None and self.part.classes is None
        weights = None if all_count else self.part.counts(place).astype(np.float32)
        return Window(inputs, targets, reset, weights)

    def _first(self, epoch: int) -> np.ndarray:
        """Return the place where each stream of an epoch starts, (batch,)."""
        known = self._starts.get(epoch)
        if known is not None:
            return known
        n, length = len(self.part), len(self.part) // self.batch
        first = (self._offset(epoch) + length * np.arange(self.batch)) % n
        if self.part.resets:
            # Further on, streams would read too much of the same text.
            begins = [self.part.next_begin(place, max(1, length // SOON)) for place in first.tolist()]
            first = np.array([place if begin is None else begin for place, begin in zip(first, begins, strict=True)])
        self._starts.clear()
        self._starts[epoch] = first
        return first

    def _offset(self, epoch: int) -> int:
        # NumPy promises that the raw stream of Philox never changes; Generator.integers has no such promise.
        return int(np.random.Philox(key=[self.seed, epoch]).random_raw()) % len(self.part)


def fit_batch(n: int, batch: int, seq: int) -> tuple[int, int]:
    """Return (batch, seq) for `n` training characters, shrunk only if an epoch would have less than two windows.

    The batch is halved first, as fewer streams cost nothing but speed; then `seq` is cut.
    """
    if n < 2:
        raise CharRNNError(f"Training needs at least 2 characters; there are {n}.", hint="Use a longer text.")
    while batch > 1 and n < 2 * batch * seq:
        batch //= 2
    return batch, min(seq, max(1, n // (2 * batch)))
