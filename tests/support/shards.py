"""A batch cut into shards, as the backend can cut it."""


def shards_of(batch: int, count: int):
    """Return a batch cut into so many shards or, where the backend cannot cut it so, into its rows."""
    from charrnn.training.backends.choice import choose
    from charrnn.training.backends.engine import Shards

    return Shards(batch, count if choose().shards(batch, count) == count else batch)
