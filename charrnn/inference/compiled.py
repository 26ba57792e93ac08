"""Texts that compiled code reads and draws (`charrnn.compiled`), where that is faster than NumPy."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.compiled.forms import BYTES
from charrnn.engines import cannot_compile
from charrnn.errors import CharRNNError
from charrnn.inference import ops
from charrnn.inference.attention import Attention
from charrnn.inference.model import Model
from charrnn.inference.sampling import COLDEST, HOTTEST, Sampling
from charrnn.inference.stream import Stream
from charrnn.network.forward import layer_parameters
from charrnn.network.parameters import layer_name, useful_products
from charrnn.network.stacks import layers_of

if TYPE_CHECKING:
    from charrnn.compiled.machine import Machine
    from charrnn.compiled.network import CompiledNetwork

# Loading compiled code takes as long as NumPy needs for this many multiply-adds, where the calls of a step count as
# many as CALLS. So NumPy begins every text, and compiled code goes on; the place depends on nothing but the model.
PATIENCE = 2_500_000_000
CALLS = 1_000_000
# With fewer rows than this, each is read by the code for one text.
FEW = 8
# With larger matrices than this, in bytes, memory limits the speed of a single text; BLAS reads it faster.
LARGE = 32 << 20
# A call draws at most this many characters, and fewer if they need more multiply-adds than LONGEST: what is drawn is
# not shown before the call returns.
CHUNK = 64
LONGEST = 100_000_000


class Compiled:
    """A model as compiled code, which is made when it is first needed."""

    def __init__(self, model: Model):
        self.model = model
        self._networks: dict[bool, CompiledNetwork] = {}
        self.products = useful_products(model.config, model.vocab.size)
        self.chunk = max(1, min(CHUNK, LONGEST // self.products))

    def patience(self, rows: int = 1) -> int | None:
        """Return how many steps NumPy makes first with this many texts; None if it makes all."""
        if self.model.engine == "numpy" or self.model.table.dtype != np.float32 or self.model.held:
            return None
        if self.model.engine == "compiled":
            return 0
        if rows == 1 and self.model.form == "float32" and self.products * BYTES["float32"] > LARGE:
            return None
        return PATIENCE // (CALLS + rows * self.products) + 1

    def reads(self, rows: int) -> bool:
        """Return whether compiled code reads texts that are known beforehand faster than `Stream.feed` does.

        It multiplies with W at each step, but `feed` multiplies once for many steps, so it reads W more rarely.
        """
        return rows > 1 or self.products * BYTES[self.model.form] <= LARGE

    def faster(self, stream: Stream) -> Stream:
        """Return a stream with the state of another one, as compiled code if that is possible here."""
        if isinstance(stream, CompiledStream) or self.network(stream.batch < FEW) is None:
            return stream
        compiled = CompiledStream(self.model, stream.batch)
        compiled.copy(stream)
        return compiled

    def network(self, one: bool) -> "CompiledNetwork | None":
        """Return the compiled network for one text or for many; None if it cannot be made here, which is told once."""
        if one not in self._networks:
            try:
                if cannot_compile():
                    raise NotImplementedError
                self._networks[one] = compiled_network(self.model, one, self.model.form if one else "float32")
            except Exception as error:
                # The cell may be the user's, and LLVM or the system may refuse; NumPy needs neither.
                why = cannot_compile() or f"{type(error).__name__}: {error}"
                if self.model.engine == "compiled":
                    raise CharRNNError(f"The model cannot be compiled: {why}.", "Use `engine='numpy'`.") from error
                self.model.engine = "numpy"
                self.model.notify(f"The model is not compiled ({why}). NumPy computes it.")
                return None
        return self._networks[one]


def compiled_network(model: Model, one: bool, form: str, machine: "Machine | None" = None) -> "CompiledNetwork":
    """Return a model compiled for `one` text or for many, with weights of a form, by default for this processor."""
    from charrnn.compiled.attention import LookBack
    from charrnn.compiled.network import CompiledNetwork
    from charrnn.network.whole import LOOK_BACK, trace_of

    config, weights = model.config, model.weights
    cell, trace = trace_of(config, model.vocab.size)
    matrices = {name: weights[name] for name in cell.matrices if name != LOOK_BACK}
    for layer, own in enumerate(layers_of(config)):
        masked, _ = layer_parameters(ops, own, weights, layer)
        matrices |= {layer_name(layer, name): matrix for name, matrix in masked.items()}
    vectors = {name: weights[name] for name in cell.vectors}
    look_back = distances = None
    if config.attention is not None:
        distances = weights["attention/R"]
        look_back = LookBack(LOOK_BACK, config.attention, distances.shape[1], config.units)
    return CompiledNetwork(
        cell, config.units, trace, matrices, vectors, model.table, one, form, machine, look_back, distances
    )


def ring_of(attention: Attention | None) -> dict[str, np.ndarray]:
    """Return the arrays of attention that compiled code reads and writes."""
    if attention is None:
        return {}
    return {"keys": attention.keys, "values": attention.values, "length": attention.length}


class CompiledStream(Stream):
    """A `Stream` whose steps are compiled."""

    def __init__(self, model: Model, batch: int = 1):
        from charrnn.compiled.network import Memory

        self.model, self.batch = model, batch
        self.layers, self.units = layers_of(model.config), model.config.units
        self.network = model.compiled.network(batch < FEW)
        assert self.network is not None
        self.attention = Attention(model.config, model.weights, batch) if model.config.attention else None
        self.memory = Memory(self.network, batch, of_rows=ring_of(self.attention))
        self.logits = np.zeros((batch, model.outputs), np.float32)
        self.end, self.matched = model.end, np.zeros((batch,) if batch > 1 else (), np.int64)
        self.forget()

    @property
    def states(self) -> list[Any]:
        fields = iter(field if self.batch > 1 else field[0] for field in self.memory.state())
        return [cell.state(*islice(fields, len(cell.state_fields))) for cell in self.layers]

    def step(self, ids: int | np.ndarray) -> np.ndarray:
        self._read(np.reshape(ids, (1, self.batch)), self.logits[None])
        return self.logits if self.batch > 1 else self.logits[0]

    def feed(self, ids: np.ndarray) -> np.ndarray:
        if self.end is not None:
            self.matched[...] = self.end.matched(ids).reshape(self.matched.shape)
        logits = np.empty((*ids.shape, self.model.outputs), np.float32)
        self._read(ids, logits)
        return logits

    def _read(self, ids: np.ndarray, logits: np.ndarray) -> None:
        self.memory.read(ids, logits)
        self._turn()

    def _turn(self) -> None:
        """Note the place in the ring of attention that compiled code has come to."""
        if self.attention is not None:
            self.attention.at = self.memory.t % self.attention.size

    def draw(
        self, first: int, uniforms: Sequence[float], sampling: Sampling, mask: np.ndarray | None, with_logits: bool
    ) -> tuple[list[int], np.ndarray]:
        """Step with a drawn id, then draw others; return them, and with `with_logits` the logits of each.

        There is one for each uniform number, or fewer: none follows the id that may complete the end of a document, or
        a draw from what is not a number, which is the id after the last one.
        """
        assert self.network is not None
        size, count = self.model.vocab.size, len(uniforms)
        ids = np.empty(count + 1, np.int64)
        ids[0] = self.after(first)
        logits = np.empty((count if with_logits else 1, size), np.float32)
        stops = np.zeros(size + 1, np.uint8)
        stops[size] = 1
        if self.end is not None:
            stops[self.end.ids[-1]] = 1
        greedy = sampling.temperature == 0
        made = self.memory.draw(
            ids,
            logits,
            # The first of the likeliest characters is above any share that is 0.
            np.zeros(count) if greedy else np.array(uniforms),
            np.zeros(size, np.float32) if mask is None else mask,
            stops,
            COLDEST if greedy else min(max(sampling.temperature, COLDEST), HOTTEST),
            min(sampling.top_k or size, size),
            sampling.top_p or 1.0,
            sampling.min_p or 0.0,
        )
        self._turn()
        drawn = ids[1 : made + 1].tolist()
        if self.end is not None:
            # The last one is passed to the next call, or to go_on.
            for id in drawn[:-1]:
                self.matched[...] = self.end.after[self.matched, id]
        return drawn, logits
