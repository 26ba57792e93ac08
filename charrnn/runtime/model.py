"""A trained model that reads and predicts text: loaded from a checkpoint, stepped on NumPy."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from charrnn import network
from charrnn.cells import CELLS
from charrnn.checkpoint import read_checkpoint
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.cores import usable_cores
from charrnn.runtime import ops
from charrnn.runtime.plan import Call, Plan, product
from charrnn.vocab import Vocabulary

BYTES_PER_THREAD = 2 << 20


class Model:
    """A network, its vocabulary, how it wants its text; weights as `network.parameter_shapes`, float32 or float64."""

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocabulary,
        weights: Mapping[str, np.ndarray],
        text: TextConfig = DEFAULT_TEXT,
    ):
        self.config = config
        self.vocab = vocab
        self.text = text
        self.weights = dict(weights)
        self.table = network.input_table(ops, config, self.weights)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Read a checkpoint; CharRNNError if it is damaged or does not fit its own model."""
        checkpoint = read_checkpoint(path)
        network.check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
        return cls(checkpoint.model, checkpoint.vocab, checkpoint.weights, checkpoint.text)

    def limit_threads(self) -> None:
        """Let BLAS use a thread for every 2 MB of the largest recurrent matrix, at least one, at most every core.

        A core's cache holds about that much; what fits one core is not worth sharing.
        """
        largest = max(array.nbytes for name, array in self.weights.items() if name != "layer0/W")
        threads = max(1, min(usable_cores(), largest // BYTES_PER_THREAD))
        # Every core is BLAS's own default, and the import takes as long as reading a model.
        if threads < usable_cores():
            from threadpoolctl import ThreadpoolController

            ThreadpoolController().limit(limits=threads, user_api="blas")


class Stream:
    """`batch` texts being read side by side, each from its beginning; the hidden state is carried.

    Before the first character every text stands at the start symbol: feed `model.vocab.start` first.
    """

    def __init__(self, model: Model, batch: int = 1):
        self.model = model
        self.batch = batch
        weights, cell, units = model.weights, CELLS[model.config.cell], model.config.units
        self.plans = [
            Plan(cell, units, *network.layer_parameters(cell, weights, layer), batch, model.table.dtype)
            for layer in range(model.config.layers)
        ]
        self.logits = np.zeros((*self.plans[0].lead, model.vocab.size), self.plans[0].dtype)
        self.calls = self._one_step()

    def _one_step(self) -> list[Call]:
        """Return the calls that take one character from the first layer's zx to the logits."""
        weights, calls = self.model.weights, list(self.plans[0].calls)
        h = self.plans[0].state[0]
        for layer, plan in enumerate(self.plans[1:], start=1):
            calls.append((product(h), (h, weights[f"layer{layer}/W"], plan.zx)))
            if not CELLS[self.model.config.cell].own_bias:
                calls.append((np.add, (plan.zx, weights[f"layer{layer}/b"], plan.zx)))
            calls += plan.calls
            h = plan.state[0]
        calls.append((product(h), (h, weights["output/W"], self.logits)))
        calls.append((np.add, (self.logits, weights["output/b"], self.logits)))
        return calls

    def forget(self) -> None:
        """Return to the state before a text; feed the start symbol next."""
        for plan in self.plans:
            for value in plan.state:
                value[...] = 0

    def step(self, ids: int | np.ndarray) -> np.ndarray:
        """Read one character of every text; return the logits of the next, (batch, vocab), valid until the next step.

        With a batch of one `ids` is an int and the logits are (vocab,).
        """
        self.plans[0].zx[...] = self.model.table[ids]
        for function, arguments in self.calls:
            function(*arguments)
        return self.logits

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Read ids, (time, batch); return the logits after each, (time, batch, vocab). Faster than stepping."""
        plans = iter(self.plans)
        states = [plan.state for plan in self.plans]

        def scan(cell, zx, state, matrices, vectors, reset):  # type: ignore[no-untyped-def]
            plan = next(plans)
            return plan.run(zx), plan.state

        logits, _ = network.forward(
            ops, self.model.config, self.model.weights, ids, states, scan, table=self.model.table
        )
        return logits
