"""Attention: each step of a network looks back at the last characters of its document, over any array namespace."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from charrnn.cells import Array
from charrnn.config import ModelConfig
from charrnn.network.products import project
from charrnn.network.stacks import layers_of

# Keys and queries have a quarter of the width of values.
VALUES_PER_KEY = 4
# The score of a position that must not be seen: its weight is exactly 0.
NEVER = -1e30


class Memory(NamedTuple):
    """What attention can see of the characters before, the newest last.

    keys: (batch, n, key width); values: (batch, n, units); seen: (batch, n), 1 if the character belongs to the present
    document, else 0.
    """

    keys: Any
    values: Any
    seen: Any


# What `attend` is called as.
Attend = Callable[[Any, Mapping[str, Array], Array, Memory, Array | None], tuple[Array, Memory, Array]]


def key_width(units: int) -> int:
    """Return the number of units of a key and of a query."""
    return max(1, units // VALUES_PER_KEY)


def attending(model: ModelConfig) -> int | None:
    """Return the layer whose output attends, from 0: the last but one, or the only one; None without attention."""
    return None if model.attention is None else max(0, len(layers_of(model)) - 2)


def memory_shapes(model: ModelConfig, batch: int) -> Memory:
    """Return the shapes of the memory of `batch` texts."""
    assert model.attention is not None
    lead = batch, model.attention
    return Memory((*lead, key_width(model.units)), (*lead, model.units), lead)


def attend(
    xp: Any, weights: Mapping[str, Array], h: Array, memory: Memory, reset: Array | None
) -> tuple[Array, Memory, Array]:
    """Merity 2019, "Single headed attention RNN", with the distances of Shaw et al. 2018.

    q, k, v = h W
    e_tj = q_t . (k_j + R_(t-j)) / sqrt(key width),  t - n <= j <= t, in the document of t
    a_t = softmax(e_t)
    the layer outputs h_t + sum_j a_tj v_j

    h, (time, batch, units), is the output of a layer; reset, (time, batch), is true where a document begins. R has a
    row for every distance from 0 to n. Returns the new output, the memory after it, and a, (batch, time, n + time):
    its columns are the n characters of the memory and those of h. Luong et al. 2015 compare other scores.
    """
    steps, width = h.shape[0], memory.keys.shape[-1]
    made = xp.transpose(project(xp, h, weights["attention/W"]), (1, 0, 2))
    queries = made[..., :width] * width**-0.5
    keys = xp.concatenate([memory.keys, made[..., width : 2 * width]], axis=1)
    values = xp.concatenate([memory.values, made[..., 2 * width :]], axis=1)
    scores = xp.matmul(queries, xp.transpose(keys, (0, 2, 1)))
    scores = scores + _by_distance(xp, project(xp, queries, xp.transpose(weights["attention/R"])))
    # The number of the document of each query and of each key; -1 for keys of documents that have ended before.
    first = xp.zeros_like(h[..., 0])
    now = xp.transpose(first if reset is None else xp.cumsum(xp.where(reset, xp.ones_like(first), first), axis=0))
    then = xp.concatenate([memory.seen - 1.0, now], axis=1)
    alignments = xp.softmax(xp.where(now[:, :, None] == then[:, None, :], scores, NEVER), axis=-1)
    attended = xp.transpose(xp.matmul(alignments, values), (1, 0, 2))
    seen = xp.where(then[:, steps:] == now[:, -1:], xp.ones_like(memory.seen), xp.zeros_like(memory.seen))
    return h + attended, Memory(keys[:, steps:], values[:, steps:], seen), alignments


def _by_distance(xp: Any, scores: Array) -> Array:
    """Return scores by position, (batch, time, n + time), from scores by distance, (batch, time, n + 1).

    Position j of row t is t + n - j characters before. Positions that are further away or later get NEVER.
    """
    batch, steps, distances = scores.shape
    columns = distances - 1 + steps
    # Each row is one longer than those of the result, so that each one begins a column later than the one before.
    padded = xp.pad(scores[..., ::-1], ((0, 0), (0, 0), (0, steps)), constant_values=NEVER)
    return xp.reshape(xp.reshape(padded, (batch, -1))[:, : steps * columns], (batch, steps, columns))
