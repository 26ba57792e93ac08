"""The interfaces of a backend: `Backend` before it is loaded, `Engine` after its start. README.md explains them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from charrnn.cells import Cell
from charrnn.data.batches import Window
from charrnn.training.backends.jax.distributed import Processes

Arrays = Mapping[str, Any]


class NoSuchDevice(Exception):
    """The GPU that was asked for does not exist."""


class Backend(Protocol):
    """The facts and functions of a backend that need neither it nor Keras to be imported.

    name: its name in KERAS_BACKEND, and its package. title: its name for users. install_for_gpu: the command that
    installs it for a GPU. tells_why_no_gpu: whether, built for CUDA, it says itself why it uses no GPU.
    several_processes: whether several processes can train one run.
    """

    name: str
    title: str
    install_for_gpu: str
    tells_why_no_gpu: bool
    several_processes: bool
    # Programs that run in a process of their own. `probe` prints JSON: version, cuda (whether it is built for CUDA),
    # gpus (their names). `peak`, after {n} is filled in, prints the GFLOPS of a float32 product of n x n.
    probe: str
    peak: str

    def shards(self, rows: int, most: int) -> int:
        """Return the number of shards, at most `most`, into which `rows` rows can be cut."""

    def start(self, shards: int, float64: bool, device: str, processes: Processes) -> int:
        """Import the backend and Keras and set up the devices; return the number of shards of a batch.

        `backends.start.start` says more. If the backend has computed already, its devices and threads stay the same.
        Raises NoSuchDevice if the device does not exist.
        """

    def engine(self) -> "Engine":
        """Return the engine; to be called after `start`."""


class Shards(Protocol):
    """How a batch is cut: `own` are the rows that this process reads. Each backend has its own layout of a state."""

    batch: int
    count: int
    own: slice

    def place(self, window: Window) -> Window:
        """Return a window of this process's rows in the form that a step reads."""

    def whole(self, values: Arrays) -> Arrays:
        """Return values that all shards share in the form that a step reads."""

    def state(self, whole: Any) -> Any:
        """Return the state of a batch from arrays (batch, units) in any structure."""

    def gathered(self, state: Any) -> Any:
        """Return the arrays (batch, units) from which `state` was made, as NumPy arrays."""

    def each(
        self, function: Callable[..., tuple[Any, Any]], shared: Sequence[Any], window: Window, state: Any
    ) -> tuple[Any, Any]:
        """Return the sum of the first results of `function` over the shards, in their order, and the next state.

        It is called with `shared`, the shard's part of the window and of the state, and the number of its first row.
        """


class Engine(Protocol):
    """The functions that compute, and `xp`, the array namespace of cells and networks."""

    @property
    def xp(self) -> Any: ...

    @property
    def calls(self) -> Any:
        """Return how compiled code is called on a processor (`charrnn.training.backends.compiled.Calls`)."""

    def gpu_calls(self, products: str | None) -> Any:
        """Return how kernels are called on a GPU, None if this backend cannot; products: see `scan`."""

    def Shards(self, batch: int, count: int) -> Shards:
        """Cut a batch into shards."""

    def Update(
        self,
        step: Callable[..., tuple[Any, Arrays]],
        variables: Mapping[str, Any],
        optimizer: Any,
        shards: Any,
    ) -> Callable[..., Any]:
        """Compile a step that updates Keras variables with the gradients of `step(values, number, *arguments)`.

        The compiled step is called with the learning rate, the step's number and the arguments. It returns the results,
        which may still be computing.
        """

    def on_gpu(self) -> bool:
        """Return whether a GPU computes."""

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a compiled function of arrays."""

    def loss_and_gradients(
        self, function: Callable[[Arrays], tuple[Any, Any]], values: Arrays
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Return the loss, the other results of `function`, and the gradients of the loss, zeros included."""

    def matmul(self, x: Any, w: Any, products: str | None) -> Any:
        """Return x w, (..., n, a) by (..., a, b).

        With `products`, the operands are rounded to that type, in the gradient too.
        """

    def look_up(self, table: Any, ids: Any) -> Any:
        """Return the rows of a table at ids; the gradient is dense."""

    def cross_entropies(self, logits: Any, targets: Any) -> Any:
        """Return -log softmax(logits)[target] in nats; logits (n, vocab), targets (n,)."""

    def counter(self, step: int) -> Any:
        """Return the number of a step in the form that `uniform_rows` reads."""

    def uniform_rows(self, shape: tuple[int, int, int], seed: int, step: Any, layer: int, first_row: Any) -> Any:
        """Return numbers from [0, 1), (time, rows, units): each row depends only on (seed, step, layer, row)."""

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
        """Run a cell over time; gradients of matrices are computed after the loop.

        zx: (time, batch, width), both lengths static; state: the cell's state, each field (batch, units); matrices and
        vectors by the cell's names; reset: (time, batch) booleans, true where the state first returns to its initial
        value. Without `gradient_wanted` nothing is recorded, and no gradient can be computed. With `products`, only the
        operands of matrix products are rounded to that type.
        Returns the fields `emitted` after each step, (time, batch, units) each, and the last state.
        """
