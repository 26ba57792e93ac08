"""A trained model that reads and predicts text: loaded from a checkpoint, and run with NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.cells.cell import add_bias
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.cores import usable_cores
from charrnn.engines import NUMPY, WEIGHTS
from charrnn.inference import ops
from charrnn.inference.attention import Attention
from charrnn.inference.ends import End, turned_ids
from charrnn.inference.plan import Call, Plan, product
from charrnn.network.attention import Attend, attend, attending
from charrnn.network.forward import forward, from_product, input_table, layer_parameters
from charrnn.network.parameters import check_weights, layer_name, parameters
from charrnn.network.stacks import layers_of
from charrnn.network.units import Unit
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.inference.compiled import Compiled

BYTES_PER_THREAD = 2 << 20
# With attention, at least this many characters are read at once.
SHORTEST = 64


def read_by(text: TextConfig, vocab: Vocabulary) -> TextConfig:
    """Return how a model reads other texts: in the same way as its training text (`text`), but in UTF-8.

    If training read a field of records, or labels, the model still reads plain text. A model that has never seen a
    carriage return reads CR and CRLF as line breaks.
    """
    newlines = text.newlines if "\r" in vocab.symbols else "lf"
    return replace(text, encoding=DEFAULT_TEXT.encoding, field=None, newlines=newlines, labels=False, label_field=None)


class Model:
    """A network, its vocabulary, and how it reads text; weights as in `parameter_shapes`, float32 or float64.

    `val_nats` is its validation loss in nats per character, None if that is not known.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocab: Vocabulary,
        weights: Mapping[str, np.ndarray],
        text: TextConfig = DEFAULT_TEXT,
        val_nats: float | None = None,
        step: int | None = None,
        digest: str = "",
    ):
        self.config = config
        self.vocab = vocab
        self.text = text
        self.val_nats = val_nats
        # The number of training steps, and the SHA-256 of the file's header and weights; None and "" if not known.
        self.step, self.digest = step, digest
        self.weights = dict(weights)
        # One of `engines.OF_USE` and one of WEIGHTS: who computes, and how the matrices of products are stored.
        self.engine, self.form = NUMPY, WEIGHTS[0]
        # Units, and the value at which each is held (`charrnn.inference.holding`).
        self.held: Mapping[Unit, float] = {}
        # Is called with a message for the user.
        self.notify: Callable[[str], None] = lambda notice: None
        self.table = input_table(ops, config, self.weights)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Read a checkpoint; CharRNNError if it is damaged or does not fit its own model."""
        checkpoint = read_checkpoint(path)
        check_weights(checkpoint.weights, checkpoint.model, checkpoint.vocab.size, str(path))
        val_nats = None if checkpoint.progress is None else checkpoint.progress.best_nats
        facts = (checkpoint.model, checkpoint.vocab, checkpoint.weights, checkpoint.text)
        return cls(*facts, val_nats, checkpoint.step, checkpoint.digest)

    @property
    def outputs(self) -> int:
        """Return how many logits the model has: one for each character or, if it predicts labels, for each label."""
        return self.config.outputs(self.vocab.size)

    @property
    def reads(self) -> TextConfig:
        """Return how the model reads a text (`read_by`)."""
        return read_by(self.text, self.vocab)

    def before(self, prime: np.ndarray) -> np.ndarray:
        """Return the ids to read before a text that follows the ids `prime`: the start symbol, and what counts of them.

        If the model forgets at the ends of documents, only the part after the last end counts. Other models read a line
        break if the prime is empty: for them, the start symbol is where training happened to begin, which can be
        anywhere in a text. A model that reads from the end writes what is before the prime.
        """
        prime = self.counting(prime)
        if self.text.reverse:
            prime = prime[::-1]
        if self.end is None and not len(prime) and not self.text.resets and self._knows_lines:
            prime = self.vocab.encode("\n")
        return np.concatenate([[self.vocab.start], prime]).astype(np.int64)

    def counting(self, prime: np.ndarray) -> np.ndarray:
        """Return the ids of a prime that count: if the model forgets documents, those of the one that it writes."""
        if self.end is None:
            return prime
        if self.text.reverse:
            # It writes what is before them.
            places = self.end.places(prime)
            return prime[: places[0] - len(self.end)] if places else prime
        return self.end.begun(prime)

    def order(self, ids: np.ndarray) -> np.ndarray | slice:
        """Return the places of a document's ids in the order in which the model reads them.

        A model that reads from the end still reads what ends a document, or a line, last. The same places bring what
        was read back into the order of the document.
        """
        return turned_ids(np.arange(len(ids)), self.ends_with(ids)) if self.text.reverse else slice(None)

    def written_order(self, ids: np.ndarray, ended: bool, before_prime: bool) -> np.ndarray:
        """Return the places of ids that the model wrote, maybe several documents, in the order in which people read.

        A model that reads from the end has written the last document first, from its end to its beginning, and what
        ends a document after it: that comes between two documents, or after the last one. There it is left out if the
        text is followed by a prime, `before_prime`. If the model does not forget documents, only a line break at which
        the text `ended` is an end.
        """
        places, length = np.arange(len(ids)), len(self.end_ids)
        if not self.text.reverse:
            return places
        if self.end is not None:
            ends = [place - length for place in self.end.places(ids)]
        else:
            ends = [len(ids) - length] if ended and self.ends_with(ids) else []
        pieces: list[np.ndarray] = []
        low = 0
        for end in ends:
            pieces += [places[low:end][::-1], places[end : end + length]]
            low = end + length
        pieces.append(places[low:][::-1])
        if ends and low == len(ids):
            last = pieces[-2]
            pieces[-2:] = []
            pieces[:0] = [] if before_prime else [last]
        return np.concatenate(pieces[::-1])

    @cached_property
    def end_ids(self) -> np.ndarray:
        """Return what ends a document or, if the model does not forget documents, a line; empty if nothing does."""
        if self.end is not None:
            return np.array(self.end.ids, np.int32)
        return self.vocab.encode("\n" if self._knows_lines else "")

    def ends_with(self, ids: np.ndarray) -> int:
        """Return how many ids at the end of a text are `end_ids`: all or none."""
        end = self.end_ids
        return len(end) if len(end) and np.array_equal(ids[-len(end) :], end) else 0

    @property
    def _knows_lines(self) -> bool:
        return "\n" in self.vocab.symbols

    @cached_property
    def end(self) -> End | None:
        """Return the end of documents if the model forgets everything after it, else None."""
        return self.document_end if self.text.resets else None

    @cached_property
    def document_end(self) -> End | None:
        """Return the end of documents, None if they have no end that the model knows."""
        end = self.text.document_end
        ids = [] if end is None else self.vocab.table(end).tolist()
        return End(ids, self.vocab.size + 1) if ids and min(ids) >= 0 else None

    def store_as(self, form: str) -> None:
        """Round the matrices of products to a form of weights (`charrnn.compiled.forms`)."""
        from charrnn.compiled.forms import rounded

        self.form = form
        for parameter in parameters(self.config, self.vocab.size):
            if len(parameter.shape) == 2 and not parameter.in_input_table:
                self.weights[parameter.name] = rounded(self.weights[parameter.name], form)

    @cached_property
    def compiled(self) -> "Compiled":
        """Return the model as compiled code; nothing is compiled before it is needed."""
        from charrnn.inference.compiled import Compiled

        return Compiled(self)

    def limit_threads(self) -> None:
        """Limit BLAS to one thread per 2 MB of the largest matrix of a product, at least one, at most one per core.

        The cache of a core has about this size. A matrix that fits one core's cache gains nothing from more threads.
        """
        table = parameters(self.config, self.vocab.size)
        largest = max(self.weights[parameter.name].nbytes for parameter in table if not parameter.looked_up)
        threads = max(1, min(usable_cores(), largest // BYTES_PER_THREAD))
        # BLAS uses every core by default, and this import takes as long as reading a model.
        if threads < usable_cores():
            from threadpoolctl import ThreadpoolController

            ThreadpoolController().limit(limits=threads, user_api="blas")


class Stream:
    """Reads `batch` texts in parallel, each from its beginning; the hidden state is carried from step to step.

    Feed the start symbol, `model.vocab.start`, before the first character of each text.
    """

    def __init__(self, model: Model, batch: int = 1):
        self.model = model
        self.batch = batch
        self.layers, self.units = layers_of(model.config), model.config.units
        self.plans = [
            Plan(cell, self.units, *layer_parameters(ops, cell, model.weights, layer), batch, model.table.dtype)
            for layer, cell in enumerate(self.layers)
        ]
        for unit, value in model.held.items():
            self.plans[unit.field.layer].hold(unit.field.name, unit.place, value)
        self.logits = np.zeros((*self.plans[0].lead, model.outputs), self.plans[0].dtype)
        self.attention = Attention(model.config, model.weights, batch) if model.config.attention else None
        self.calls = self._one_step()
        # For each text: how many of its last ids begin the end of a document.
        self.end, self.matched = model.end, np.zeros(self.plans[0].lead, np.int64)
        self.forget()

    def _one_step(self) -> list[Call]:
        """Return the calls that compute the logits of one character from the zx of the first layer."""
        weights = self.model.weights
        calls: list[Call] = []
        x: Any = None
        for layer, plan in enumerate(self.plans):
            calls += (self._enter(layer, x) if layer else []) + plan.calls
            h = plan.state.h
            if self.attention is not None and layer == attending(self.model.config):
                attended = np.empty_like(h)
                calls.append((self.attention.step, (h, attended)))
                h = attended
            if layer and self.model.config.stack == "residual":
                total = np.empty_like(h)
                calls.append((np.add, (x, h, total)))
                h = total
            x = h
        calls.append((product(x), (x, weights["output/W"], self.logits)))
        calls.append((np.add, (self.logits, weights["output/b"], self.logits)))
        return calls

    def _enter(self, layer: int, x: np.ndarray) -> list[Call]:
        """Return the calls that fill the zx of a layer from x, the output of the layer below, and the state below."""
        cell, weights, zx = self.layers[layer], self.model.weights, self.plans[layer].zx
        low = cell.projected(self.units)
        projected = zx[..., :low]
        calls: list[Call] = []
        if cell.blocks:
            calls.append((product(x), (x, weights[layer_name(layer, "W")], projected)))
            if cell.zx is add_bias:
                calls.append((np.add, (projected, weights[layer_name(layer, "b")], projected)))
            else:
                calls.append((_replace, (projected, partial(from_product, ops, cell, weights, layer))))
        for name in cell.raw:
            source = x if name == "h" else getattr(self.plans[layer - 1].state, name)
            calls.append((np.copyto, (zx[..., low : low + self.units], source)))
            low += self.units
        return calls

    @property
    def states(self) -> list[Any]:
        """Return the state of each layer, in its cell's type; its fields are written to in place."""
        return [plan.state for plan in self.plans]

    def forget(self, rows: Any = ...) -> None:
        """Reset the state of all texts, or of some rows, to that before a text; feed the start symbol next."""
        for cell, state in zip(self.layers, self.states, strict=True):
            for name, value in zip(cell.state_fields, state, strict=True):
                value[rows] = cell.initial.get(name, 0.0)
        if self.attention is not None:
            self.attention.forget(rows)
        self.matched[rows] = 0

    def copy(self, other: "Stream", rows: Any = ..., of: Any = ...) -> None:
        """Copy into some rows, by default all, the state of rows `of` a stream of the same model (or this stream)."""
        for state, source in zip(self.states, other.states, strict=True):
            for value, new in zip(state, source, strict=True):
                value[rows] = new[of]
        if self.attention is not None and other.attention is not None:
            self.attention.copy(other.attention, rows, of)
        self.matched[rows] = other.matched[of]

    def step(self, ids: int | np.ndarray) -> np.ndarray:
        """Read one character of every text; return the logits of the next, (batch, vocab), valid until the next step.

        With a batch of one `ids` is an int and the logits are (vocab,).
        """
        self.plans[0].zx[...] = self.model.table[ids]
        for function, arguments in self.calls:
            function(*arguments)
        return self.logits

    def go_on(self, drawn: int | np.ndarray) -> np.ndarray:
        """Step with drawn characters; after the end of a document that the model forgets, a new document begins."""
        return self.step(self.after(drawn))

    def after(self, drawn: int | np.ndarray) -> int | np.ndarray:
        """Return the ids to read after drawn characters; where a document has ended, forget it: the start symbol."""
        if self.end is not None:
            self.matched[...] = self.end.after[self.matched, drawn]
            ended = self.matched == len(self.end)
            if np.any(ended):
                self.forget(ended)
                drawn = np.where(ended, self.model.vocab.start, drawn)
        return drawn

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Read ids, (time, batch); return the logits after each, (time, batch, vocab). Faster than stepping."""
        return self.look(ids, attend)

    def look(self, ids: np.ndarray, look: Attend) -> np.ndarray:
        """Do what `feed` does, with `look` in place of `attend`, which is called for some of the time each."""
        if not len(ids):
            return np.zeros((*ids.shape, self.model.outputs), self.model.table.dtype)
        if self.end is not None:
            self.matched[...] = self.end.matched(ids).reshape(self.matched.shape)
        # Attention computes as many scores as two blocks have places, for each step, and uses those of n + 1.
        block = len(ids) if self.attention is None else max(SHORTEST, self.attention.size)
        blocks = [self._feed(ids[low : low + block], look) for low in range(0, len(ids), block)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _feed(self, ids: np.ndarray, look: Attend) -> np.ndarray:
        plans = iter(self.plans)
        states = [plan.state for plan in self.plans]

        def scan(cell, zx, state, matrices, vectors, reset, emitted):  # type: ignore[no-untyped-def]
            plan = next(plans)
            return plan.run(zx, emitted), plan.state

        if self.attention is not None:
            states.append(self.attention.memory())
        config, weights, table = self.model.config, self.model.weights, self.model.table
        logits, after = forward(ops, config, weights, ids, states, scan, table=table, attention=look)
        if self.attention is not None:
            self.attention.remember(after[-1])
        return logits


def _replace(values: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> None:
    values[...] = function(values)
