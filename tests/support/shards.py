"""A batch cut into shards, as the backend can cut it."""


def shards_of(batch: int, count: int):
    """Return a batch cut into so many shards or, where the backend cannot cut it so, into its rows."""
    from charrnn.training import backends
    from charrnn.training.backends.current import Shards

    return Shards(batch, batch if backends.chosen() == "jax" and batch % count else count)
