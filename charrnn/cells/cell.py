"""What a cell is: its states, its parameters, its row in the table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Array = Any
Dot = Callable[[Array, str], Array]
Vectors = Mapping[str, Array]


class ArrayNamespace(Protocol):
    """All functions that a step may call, named as in keras.ops. Arrays also have + - * / and negation, nothing else.

    x, y: (batch, width), of one floating-point type. One operand of `maximum` and of + - * / may be a number or a
    vector, (width,). TensorFlow, JAX, NumPy and the tracer (`trace.py`) implement it.
    """

    def exp(self, x: Array, /) -> Array:
        """Return e to the power of x."""

    def tanh(self, x: Array, /) -> Array:
        """Return the hyperbolic tangent."""

    def sigmoid(self, x: Array, /) -> Array:
        """Return 1 / (1 + exp(-x)); no x overflows."""

    def log_sigmoid(self, x: Array, /) -> Array:
        """Return log(sigmoid(x)), which is close to x where the sigmoid is close to 0."""

    def relu(self, x: Array, /) -> Array:
        """Return x where it is above 0, else 0."""

    def maximum(self, x: Array, y: Array, /) -> Array:
        """Return the larger number of each pair."""

    def standardize(self, x: Array, /) -> Array:
        """Return (x - mean) / sqrt(variance + EPSILON), both over the last axis (Ba et al. 2016)."""

    def split(self, x: Array, parts: int | Sequence[int], /, axis: int) -> Sequence[Array]:
        """Return x cut into `parts` equal parts, or at these columns if `parts` is a sequence; `axis` is -1."""

    def concatenate(self, parts: Sequence[Array], /, axis: int) -> Array:
        """Return arrays side by side; `axis` is -1."""


class Hidden(NamedTuple):
    """The state of a cell that remembers only its output."""

    h: Array


class HiddenAndMemory(NamedTuple):
    """The state of an LSTM: its output h and its memory c."""

    h: Array
    c: Array


class HiddenMemoryAndGates(NamedTuple):
    """The state of an LSTM with full gate recurrence: output, memory, and the gates of the previous step."""

    h: Array
    c: Array
    i: Array
    f: Array
    o: Array


class Normalized(NamedTuple):
    """The state of an LSTM with exponential gates: output, memory, its normalizer n, and m, which keeps both small."""

    h: Array
    c: Array
    n: Array
    m: Array


class Clocked(NamedTuple):
    """The state of a clockwork network: its output, and the number of steps until each unit is computed again."""

    h: Array
    k: Array


class Matrix(NamedTuple):
    """A recurrent matrix. Its product consists of `blocks`, one letter each.

    rows, columns: the width of its operand and of one block, as fractions of the layer's width; at least 1 in the end.
    input: whether it multiplies an input; then it starts as W does, otherwise orthogonal.
    """

    blocks: str
    rows: float = 1.0
    columns: float = 1.0
    input: bool = False

    def shape(self, units: int) -> tuple[int, int]:
        """Return its shape in a layer of `units` units."""
        rows, columns = (max(1, round(share * units)) for share in (self.rows, self.columns))
        return rows, len(self.blocks) * columns


class Vector(NamedTuple):
    """A parameter that is not a matrix, (blocks * units,); `starts` has the first value of each of its blocks."""

    starts: tuple[float, ...] = (0.0,)

    def width(self, units: int) -> int:
        """Return its length in a layer of `units` units."""
        return len(self.starts) * units


# Standardizing a constant does not divide by zero, thanks to this (Ba et al. 2016 name no value).
EPSILON = 1e-5


def add_bias(xp: ArrayNamespace, wx: Array, w: Vectors) -> Array:
    """Return W x + b."""
    return wx + w["b"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One row of the table: a step function, and the parameters that it needs.

    `blocks` names the blocks of `zx`, one letter each; `matrices` and `vectors` are the other parameters of the step.
    Only a few cells need the rest:

    - with `identity`, U starts as the identity;
    - `initial` has the first value of each field of the state that does not start at zero;
    - `zx(xp, wx, w)` computes the projected input from the product W x, b and the `zx_vectors`; by default W x + b;
    - `raw` names the fields of the layer below that follow the blocks of `zx` without a projection. The lowest layer
      has no layer below: it uses the cell `lowest`, or, if that is None, the network's input is projected to `raw`;
    - `scalars` is how many single numbers follow the blocks of `zx`; they are projected like the blocks;
    - `mask(units)` is False where the matrix U has fixed zeros instead of parameters.
    """

    name: str
    paper: str
    step: Callable[..., Any]
    state: type[Any]
    blocks: str
    matrices: Mapping[str, Matrix]
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    identity: bool = False
    initial: Mapping[str, float] = field(default_factory=dict)
    zx: Callable[[ArrayNamespace, Array, Vectors], Array] = add_bias
    zx_vectors: Mapping[str, Vector] = field(default_factory=dict)
    raw: tuple[str, ...] = ()
    lowest: str | None = None
    scalars: int = 0
    mask: Callable[[int], Any] | None = None

    @property
    def year(self) -> int:
        """Return the year of the paper."""
        return int(self.paper.split()[-1])

    @property
    def file(self) -> str | None:
        """Return the name of the file that defines a cell, "leaky.py"; None for charrnn's own cells or if unknown."""
        code = getattr(self.step, "__code__", None)
        name = "" if code is None else str(code.co_filename).rpartition("/")[2]
        return name if name.endswith(".py") and not self.step.__module__.startswith("charrnn.") else None

    @property
    def bias(self) -> tuple[float, ...]:
        """Return the value that each block of b starts with: 1 for a forget gate of a memory c, else 0."""
        has_memory = "c" in self.state_fields
        return tuple(1.0 if has_memory and block == "f" else 0.0 for block in self.blocks)

    @property
    def state_fields(self) -> tuple[str, ...]:
        """Return the names of the fields of the state; the first, h, is the cell's output."""
        return self.state._fields

    def masked(self, xp: Any, matrices: Mapping[str, Array]) -> dict[str, Array]:
        """Return the recurrent matrices with zeros in the places that the mask excludes."""
        if self.mask is None:
            return dict(matrices)
        return {**matrices, "U": xp.where(self.mask(matrices["U"].shape[0]), matrices["U"], 0.0)}

    def projected(self, units: int) -> int:
        """Return how many columns of `zx` are projected: the number of columns of W."""
        return len(self.blocks) * units + self.scalars

    def width(self, units: int) -> int:
        """Return the width of `zx`."""
        return self.projected(units) + len(self.raw) * units
