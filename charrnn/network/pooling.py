"""The classifier's output: the mean of the logits since the beginning of the document, over any array namespace.

The logits are W h + b, so their mean is that of the mean of h: "LSTM, mean pooling, logistic regression".
"""

from typing import Any, NamedTuple

from charrnn.cells import Array

# So many steps are pooled at once.
STEPS = 256


class Pool(NamedTuple):
    """What was pooled of the present document before a window: the sum of the logits, and of how many.

    total: (batch, classes); count: (batch, 1).
    """

    total: Any
    count: Any


def pool_shapes(classes: int, batch: int) -> Pool:
    """Return the shapes of the pool of `batch` texts."""
    return Pool((batch, classes), (batch, 1))


def running_mean(xp: Any, logits: Array, pool: Pool, reset: Array | None) -> tuple[Array, Pool]:
    """Return the mean of the logits from the beginning of each document up to each step, and the pool after the last.

    logits: (time, batch, classes). reset: (time, batch), true where a document begins, or None. No gradient goes into
    the pool before a window: that is the truncation of backpropagation.
    """
    means = []
    for low in range(0, logits.shape[0], STEPS):
        high = low + STEPS
        some, pool = _means(xp, logits[low:high], pool, None if reset is None else reset[low:high])
        means.append(some)
    return (means[0] if len(means) == 1 else xp.concatenate(means, axis=0)), pool


def _means(xp: Any, logits: Array, pool: Pool, reset: Array | None) -> tuple[Array, Pool]:
    """Do what `running_mean` does, for a few steps: memory grows with the square of their number."""
    # The number of the document of each step: 0 for the document that the pool is of.
    first = xp.zeros_like(logits[..., 0])
    document = xp.transpose(first if reset is None else xp.cumsum(xp.where(reset, xp.ones_like(first), first), axis=0))
    # (batch, time, time): 1 where the second step is in the document of the first one, and not after it.
    earlier = xp.cumsum(xp.transpose(xp.ones_like(first)), axis=1)
    same = (document[:, :, None] == document[:, None, :]) & (earlier[:, :, None] >= earlier[:, None, :])
    seen = xp.where(same, xp.ones_like(logits[0, :1, 0]), xp.zeros_like(logits[0, :1, 0]))
    begun = xp.where(document == 0.0, xp.ones_like(document), xp.zeros_like(document))[..., None]
    total = xp.matmul(seen, xp.transpose(logits, (1, 0, 2))) + begun * pool.total[:, None]
    count = xp.sum(seen, axis=-1)[..., None] + begun * pool.count[:, None]
    return xp.transpose(total / count, (1, 0, 2)), Pool(total[:, -1], count[:, -1])
