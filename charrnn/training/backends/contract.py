"""What a backend must offer: `Backend` before it is loaded, `Engine` once it has been started. README.md explains."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from charrnn.cells import Cell
from charrnn.data.batches import Window
from charrnn.training.backends.jax.distributed import Processes

Arrays = Mapping[str, Any]


class NoSuchDevice(Exception):
    """There is no such GPU."""


class Backend(Protocol):
    """What can be said of a backend, and asked of it, while neither it nor Keras is imported.

    name: what KERAS_BACKEND calls it, and the package it is installed by. title: what people call it. install_for_gpu:
    the command that does that. tells_why_no_gpu: whether, built for CUDA, it says itself why it uses no GPU.
    several_processes: whether several processes can train one run. cudnn_cells: the cells for which Keras calls cuDNN.
    """

    name: str
    title: str
    install_for_gpu: str
    tells_why_no_gpu: bool
    several_processes: bool
    cudnn_cells: tuple[str, ...]
    # Programs for a process of their own. `probe` prints JSON: version, cuda (whether it is built for it), gpus (their
    # names). `peak`, once {n} is filled in, prints the GFLOPS of a float32 product of n x n.
    probe: str
    peak: str

    def shards(self, rows: int, most: int) -> int:
        """Return into how many shards, `most` at most, so many rows can be cut."""

    def start(self, shards: int, float64: bool, device: str, processes: Processes) -> int:
        """Import the backend and Keras, set up the devices; return into how many shards a batch is to be cut.

        `backends.start.start` says more. What cannot change any more, as the backend computes already, stays as it is.
        Raises NoSuchDevice when there is none.
        """

    def engine(self) -> "Engine":
        """Return what computes; to be called after `start`."""


class Shards(Protocol):
    """How a batch is cut: `own` are the rows that this process reads. A state of the batch is the backend's affair."""

    batch: int
    count: int
    own: slice

    def place(self, window: Window) -> Window:
        """Return a window of this process's rows as a step takes it."""

    def whole(self, values: Arrays) -> Arrays:
        """Return what all shards need alike as a step takes it."""

    def state(self, whole: Any) -> Any:
        """Return the state of a batch from arrays (batch, units) in any structure."""

    def gathered(self, state: Any) -> Any:
        """Return the arrays (batch, units) that `state` was made of, as NumPy's."""

    def each(
        self, function: Callable[..., tuple[Any, Any]], shared: Sequence[Any], window: Window, state: Any
    ) -> tuple[Any, Any]:
        """Return the sums of what `function` returns first of each shard, in the shards' order, and the next state.

        It is called with what all shards share, the shard's part of the window and of the state, and its first row.
        """


class Engine(Protocol):
    """What computes, with `xp`, the array namespace of cells and networks."""

    @property
    def xp(self) -> Any: ...

    def Shards(self, batch: int, count: int) -> Shards:
        """Cut a batch into shards."""

    def Update(
        self,
        step: Callable[..., tuple[Any, Arrays]],
        variables: Mapping[str, Any],
        optimizer: Any,
        shards: Any,
        fused: bool = True,
    ) -> Callable[..., Any]:
        """Compile a step that updates Keras variables by the gradients that `step(values, number, *arguments)` returns.

        The result is called with the learning rate, the step's number and the arguments, and returns the results, which
        may still be on their way.
        """

    def on_gpu(self) -> bool:
        """Return whether a GPU computes."""

    def compiled(self, function: Callable[..., Any], fused: bool = True) -> Callable[..., Any]:
        """Return a function of arrays compiled; not `fused`, where that makes a difference, so as to leave cuDNN be."""

    def loss_and_gradients(
        self, function: Callable[[Arrays], tuple[Any, Any]], values: Arrays
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Return the loss and what else `function` returns, and the gradients of the loss, zeros included."""

    def matmul(self, x: Any, w: Any, products: str | None) -> Any:
        """Return x w, (n, a) by (a, b); with `products` operands, its gradient's too, are rounded to that type."""

    def look_up(self, table: Any, ids: Any) -> Any:
        """Return the rows of a table at ids; the gradient is dense."""

    def cross_entropies(self, logits: Any, targets: Any) -> Any:
        """Return -log softmax(logits)[target] in nats; logits (n, vocab), targets (n,)."""

    def counter(self, step: int) -> Any:
        """Return the number of a step as `uniform_rows` takes it."""

    def uniform_rows(self, shape: tuple[int, int, int], seed: int, step: Any, layer: int, first_row: Any) -> Any:
        """Return numbers from [0, 1), (time, rows, units): each row's a function of (seed, step, layer, row) alone."""

    def scan(
        self,
        cell: Cell,
        zx: Any,
        state: Any,
        matrices: dict[str, Any],
        vectors: dict[str, Any],
        reset: Any = None,
        emitted: Sequence[str] = ("h",),
        gradient_wanted: bool = True,
        products: str | None = None,
    ) -> tuple[list[Any], Any]:
        """Run a cell over time; the gradient forms no matrix's gradient inside the loop.

        zx: (time, batch, width), both lengths static; state: the cell's state, each field (batch, units); matrices and
        vectors as the cell has them; reset: (time, batch) booleans, true where the state first returns to its
        beginning. Without `gradient_wanted` nothing is recorded, and no gradient can be taken. Of the matrix products
        alone the operands are rounded to the type `products`, if one is named.
        Returns the fields `emitted` after each step, (time, batch, units) each, and the last state.
        """
