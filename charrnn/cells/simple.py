"""Cells without gates."""

from typing import Any

from charrnn.cells.contract import Array, Dot, Hidden, Vectors


def rnn(xp: Any, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Elman 1990, "Finding structure in time": h' = tanh(W x + U h + b)."""
    return Hidden(xp.tanh(zx + dot(state.h, "U")))


def irnn(xp: Any, zx: Array, state: Hidden, dot: Dot, w: Vectors) -> Hidden:
    """Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks": h' = relu(W x + U h + b).

    U begins as the identity.
    """
    return Hidden(xp.relu(zx + dot(state.h, "U")))
