"""Matrix products of sequences."""

from typing import Any

from charrnn.cells import Array


def project(xp: Any, x: Array, w: Array) -> Array:
    """Return x W for x (..., n) as one large product, (..., m)."""
    return xp.reshape(xp.matmul(xp.reshape(x, (-1, x.shape[-1])), w), (*x.shape[:-1], w.shape[-1]))
