"""Texts that a model reads character by character, several side by side, with NumPy."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from charrnn.cells.cell import add_bias
from charrnn.inference import ops
from charrnn.inference.attention import Attention
from charrnn.inference.model import Model
from charrnn.inference.plan import Call, Plan, product
from charrnn.network.attention import Attend, attend, attending
from charrnn.network.forward import forward, from_product, layer_parameters
from charrnn.network.parameters import layer_name
from charrnn.network.stacks import layers_of

# With attention, at least this many characters are read at once.
SHORTEST = 64


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
