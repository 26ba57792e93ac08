"""A batch cut into shards, as the backend can cut it."""


def shards_of(batch: int, count: int):
    """Return a batch cut into so many shards or, where the backend cannot cut it so, into its rows."""
    from charrnn.training.backends import start as backend
    from charrnn.training.backends.current import Shards

    return Shards(batch, batch if backend.chosen() == "jax" and batch % count else count)
