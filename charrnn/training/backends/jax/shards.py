"""A batch cut into shards for JAX: one for each device of a mesh (cores or GPUs, of other processes too)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from charrnn.data.batches import Window

ROWS = "rows"


class Shards:
    """How a batch is cut: contiguous rows, the same number for each of the first `count` devices.

    The state of a batch is one structure of arrays (batch, units); each device has its own rows.
    """

    def __init__(self, batch: int, count: int):
        self.batch, self.count = batch, count
        devices = jax.devices()[:count]
        if len(devices) < count or batch % count:
            raise ValueError(f"{batch} rows cannot be cut into {count} shards for {jax.device_count()} devices")
        self.mesh = Mesh(np.array(devices), (ROWS,))
        size = batch // count
        mine = [place for place, device in enumerate(devices) if device.process_index == jax.process_index()]
        # The rows that this process reads; its devices are adjacent in the mesh.
        self.own = slice(mine[0] * size, (mine[-1] + 1) * size)
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self._replicate = jax.jit(lambda x: x, out_shardings=self.everywhere)
        # Sums on a CPU or over a network have no promised order. GPUs use their own sums.
        self._in_order = devices[0].platform == "cpu"

    def _placed(self, array: Any, spec: PartitionSpec) -> Any:
        """Return an array of the mesh from an array of this process's rows."""
        return jax.make_array_from_process_local_data(NamedSharding(self.mesh, spec), np.asarray(array))

    def place(self, window: Window) -> Window:
        """Return a window of this process's rows in the form that a step reads."""
        if jax.process_count() == 1:
            # The compiled step places it itself, which is faster.
            return window
        return window.each(lambda part: self._placed(part, PartitionSpec(None, ROWS)))

    def whole(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values that all shards share in the form that a step reads."""
        return {name: self.everywhere_alike(value) for name, value in values.items()}

    def everywhere_alike(self, array: Any) -> Any:
        """Return an array that every device has; copy it there if necessary."""
        if getattr(array, "sharding", None) == self.everywhere:
            return array
        return self._placed(array, PartitionSpec())

    def state(self, whole: Any) -> Any:
        """Return the state of a batch from arrays (batch, units) in any structure."""
        return jax.tree.map(lambda array: self._placed(np.asarray(array)[self.own], PartitionSpec(ROWS)), whole)

    def gathered(self, state: Any) -> Any:
        """Return the arrays (batch, units) from which `state` was made, as NumPy arrays."""
        return jax.tree.map(lambda array: np.array(self._replicate(array)), state)

    def each(
        self, function: Callable[..., tuple[Any, Any]], shared: Sequence[Any], window: Window, state: Any
    ) -> tuple[Any, Any]:
        """Return the sum of the first results of `function` over the shards, and the next state.

        It is called with `shared`, the shard's part of the window and of the state, and the number of its first row.
        """

        def shard(shared: Any, window: Window, state: Any) -> Any:
            first, after = function(*shared, window, state, jax.lax.axis_index(ROWS) * (self.batch // self.count))
            return jax.tree.map(self._summed, first), after

        everywhere, rows = PartitionSpec(), PartitionSpec(ROWS)
        return jax.shard_map(
            shard,
            mesh=self.mesh,
            in_specs=(everywhere, PartitionSpec(None, ROWS), rows),
            out_specs=(everywhere, rows),
            check_vma=False,
        )(tuple(shared), window, state)

    def _summed(self, x: Any) -> Any:
        if not self._in_order:
            return jax.lax.psum(x, ROWS)
        # Summed in the order of the shards: a step is the same whichever finishes first, in any number of processes.
        first, *others = jnp.unstack(jax.lax.all_gather(x, ROWS))
        return sum(others, first)
