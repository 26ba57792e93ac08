"""Cells without gates."""

from charrnn.cells.cell import Array, ArrayNamespace, Clocked, Dot, Hidden, Vectors

MODULES = 8


def rnn(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Elman 1990, "Finding structure in time". Block h.

    h' = tanh(W x + U h + b).
    """
    return Hidden(xp.tanh(zx + dot(state.h, "U")))


def irnn(xp: ArrayNamespace, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units". Block h.

    h' = relu(W x + U h + b). (U starts as the identity.)
    """
    return Hidden(xp.relu(zx + dot(state.h, "U")))


def periods(units: int) -> Array:
    """Return the period of each unit of a clockwork network, in steps, (units,): 1, 2, 4, ..., one for each module."""
    import numpy as np

    # As float32 they do not widen the type of any array that they are multiplied with.
    return 2 ** (np.arange(units) * min(MODULES, units) // units).astype(np.float32)


def from_slower(units: int) -> Array:
    """Return which entries of a clockwork network's U exist, (units, units): a module reads itself and slower ones."""
    period = periods(units)
    return period[:, None] >= period[None, :]


def clockwork(xp: ArrayNamespace, zx: Array, state: Clocked, dot: Dot, w: Vectors) -> Clocked:
    """Koutnik et al. 2014, "A clockwork RNN": eight modules, computed every 1, 2, 4, ..., 128 steps. Block h.

    h' = tanh(W x + U h + b) in the modules whose turn it is; h' = h in the others. (In U a module reads only itself and
    slower modules; k counts the steps to each unit's next turn.)
    """
    due = xp.relu(1 - state.k)
    h = due * xp.tanh(zx + dot(state.h, "U")) + (1 - due) * state.h
    return Clocked(h, state.k - 1 + due * periods(state.h.shape[-1]))
