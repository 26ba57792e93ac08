"""The network in training: its input, its steps, its estimates, and its state from and to Keras."""

from collections.abc import Mapping
from typing import SupportsFloat

import keras
import numpy as np
from keras import ops

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.batches import Streams, Window
from charrnn.data.splits import Split
from charrnn.engines import FRAMEWORK
from charrnn.errors import CharRNNError
from charrnn.network.parameters import initial_weights
from charrnn.network.states import from_named, named
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.engine import Shards, on_gpu
from charrnn.training.learner_protocol import Arrays, Estimate, State
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import GradientNorms, TrainStep, fresh_states
from charrnn.training.validation import Validation


class KerasLearner:
    """A `Learner` on the backend that was started: it trains on the parts of a text; a batch is cut into `shards`.

    `weights` are the first weights; None means new ones. `engine`: see `charrnn.training.backends.engines`.
    """

    def __init__(
        self,
        model: ModelConfig,
        vocab: Vocabulary,
        config: TrainConfig,
        parts: Split,
        shards: int,
        weights: Mapping[str, np.ndarray] | None = None,
        engine: str = FRAMEWORK,
    ):
        self.engine = engine
        self.backend, self.device = keras.backend.backend(), "gpu" if on_gpu() else "cpu"
        self.streams = Streams(parts.train, config.batch, config.seq, config.seed, vocab.start)
        self.steps_per_epoch = self.streams.steps_per_epoch
        self.rows = Shards(config.batch, shards)
        self.shards = self.rows.count
        if weights is None:
            weights = initial_weights(model, vocab.size, config.seed)
        self.net = CharRNN(model, vocab.size, weights, precision=config.precision, engine=engine)
        self.optimizer, self.optimizer_name = make_optimizer(config), config.optimizer
        self.train_step = TrainStep(
            self.net,
            self.optimizer,
            self.rows,
            config.dropout,
            config.seed,
            config.sum_gradients,
        )
        self.norms = GradientNorms(self.train_step)
        self.validation = Validation(self.net, parts.val, vocab.start, shards) if parts.val else None
        self.hidden = fresh_states(self.net, self.rows)
        self._ahead: tuple[int, Window] | None = None

    def step(self, number: int, rate: float) -> tuple[SupportsFloat, int | None]:
        """Take step `number` (from 0); return its loss, and how many targets counted (None: all).

        On a GPU the loss may still be computing.
        """
        if self.streams.starts(number):
            self.hidden = fresh_states(self.net, self.rows)
        window = self._window(number)
        loss, self.hidden = self.train_step(window, self.hidden, number, rate)
        # While a GPU computes, the processor reads the next window.
        self._ahead = number + 1, self._window(number + 1)
        nats = loss if self.device == "gpu" else float(loss)
        return nats, None if window.weights is None else int(window.weights.sum())

    def _window(self, number: int) -> Window:
        """Return the window of this process for a step; it may have been read in advance."""
        known, window = self._ahead or (None, None)
        return window if known == number and window else self.streams.window(number, self.rows.own)

    def estimate(self) -> Estimate | None:
        """Return the estimate on the validation part, or None."""
        return self.validation.estimate() if self.validation else None

    def read(self) -> Arrays:
        """Return a copy of the weights."""
        return self.net.read()

    def gradient_norms(self, number: int) -> dict[str, float]:
        """Return the norms of the gradients of step `number`, the next one, by parameter; nothing changes."""
        starts = self.streams.starts(number)
        hidden = fresh_states(self.net, self.rows) if starts else self.hidden
        return self.norms(self._window(number), hidden, number)

    def state(self) -> State:
        """Return a copy of the state."""
        return State(self.read(), self._slots(), named(self.rows.gathered(self.hidden)))

    def _slots(self) -> Arrays:
        """Return the optimizer's variables by their place: Keras's own names depend on how many layers were made."""
        variables = enumerate(self.optimizer.variables)
        return {f"{place:03d}": ops.convert_to_numpy(variable) for place, variable in variables}

    def restore(self, state: State) -> None:
        """Return to a state; CharRNNError if it belongs to another optimizer."""
        shapes = {place: slot.shape for place, slot in state.slots.items()}
        if shapes != {place: slot.shape for place, slot in self._slots().items()}:
            raise CharRNNError(
                f"The checkpoint's {len(shapes)} optimizer slots do not fit {self.optimizer_name}, which has "
                f"{len(self.optimizer.variables)}.",
                hint="Another version of Keras wrote it; train a new run.",
            )
        self.net.load(state.weights)
        for place, variable in enumerate(self.optimizer.variables):
            variable.assign(state.slots[f"{place:03d}"])
        self.hidden = self.rows.state(from_named(self.net.model, state.hidden))
