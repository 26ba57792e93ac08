"""The equations of every cell, each written once, and the table of cells.

A cell is a function `step(xp, zx, state, dot, w) -> state` of one time step. It serves Keras training, NumPy
sampling and gradient checking alike, so it knows none of them:

- `xp` is the array namespace: `keras.ops`, or `charrnn.runtime.ops` for NumPy;
- `zx` is the projected input, W x + b, (batch, gates * units), its blocks in the order that the cell's docstring gives;
- `state` holds what the cell remembers, by name, each (batch, units); its first field, `h`, is the cell's output;
- `dot(vector, name)` multiplies (batch, units) by the recurrent matrix `name`. Every recurrent product goes through it:
  that is what lets the scan take the gradient of a matrix as one large product after the loop;
- `w` maps names to the parameters that are no matrix (peepholes, gains), each (units,).

In the docstrings W, U are matrices, * is elementwise, sigma the logistic function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Array = Any
Dot = Callable[[Array, str], Array]
Vectors = Mapping[str, Array]


class Hidden(NamedTuple):
    """The state of a cell that remembers its output alone."""

    h: Array


class HiddenAndMemory(NamedTuple):
    """The state of an LSTM: its output h and its memory c."""

    h: Array
    c: Array


def rnn(xp: Any, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Elman 1990, "Finding structure in time": h' = tanh(W x + U h + b)."""
    return Hidden(xp.tanh(zx + dot(state.h, "U")))


def lstm(xp: Any, zx: Array, state: HiddenAndMemory, dot: Dot, w: Vectors) -> HiddenAndMemory:
    """Gers, Schmidhuber & Cummins 2000, "Learning to forget". Blocks i, f, g, o.

    i, f, o = sigma(W x + U h + b), g = tanh(W x + U h + b); c' = f * c + i * g; h' = o * tanh(c').
    """
    i, f, g, o = xp.split(zx + dot(state.h, "U"), 4, axis=-1)
    c = xp.sigmoid(f) * state.c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(c)
    return HiddenAndMemory(h, c)


def gru(xp: Any, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Cho et al. 2014, "Learning phrase representations", eq. 5-8. Blocks z, r, g; the reset gate before the product.

    z, r = sigma(W x + U h + b); g = tanh(W x + V (r * h) + b); h' = z * h + (1 - z) * g.
    """
    units = state.h.shape[-1]
    zx_zr, zx_g = xp.split(zx, [2 * units], axis=-1)
    z, r = xp.split(xp.sigmoid(zx_zr + dot(state.h, "U")), 2, axis=-1)
    g = xp.tanh(zx_g + dot(r * state.h, "V"))
    return Hidden(z * state.h + (1 - z) * g)


@dataclass(frozen=True)
class Cell:
    """One row of the table: a step function and what must be known to hold its parameters.

    `gates` counts the blocks of `zx`; `matrices` gives the blocks of each recurrent matrix, so that matrix `name`
    is (units, matrices[name] * units); `bias` gives the value that each block of b starts with.
    """

    name: str
    paper: str
    step: Callable[..., Any]
    state: type[Any]
    gates: int
    matrices: Mapping[str, int]
    bias: tuple[float, ...]
    vectors: Mapping[str, float] = field(default_factory=dict)

    @property
    def state_fields(self) -> tuple[str, ...]:
        """Return the names of what the cell remembers; the first, h, is its output."""
        return self.state._fields


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("rnn", "Elman 1990", rnn, Hidden, 1, {"U": 1}, (0.0,)),
        # The forget gate starts open (Jozefowicz et al. 2015): its bias of 1 is part of b, never added in the step.
        Cell("lstm", "Gers et al. 2000", lstm, HiddenAndMemory, 4, {"U": 4}, (0.0, 1.0, 0.0, 0.0)),
        Cell("gru", "Cho et al. 2014", gru, Hidden, 3, {"U": 2, "V": 1}, (0.0, 0.0, 0.0)),
    )
}
