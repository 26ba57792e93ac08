"""What a cell is: its states, its parameters, its row in the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Array = Any
Dot = Callable[[Array, str], Array]
Vectors = Mapping[str, Array]


class Hidden(NamedTuple):
    """The state of a cell that remembers its output alone."""

    h: Array


class HiddenAndMemory(NamedTuple):
    """The state of an LSTM: its output h and its memory c."""

    h: Array
    c: Array


class HiddenMemoryAndGates(NamedTuple):
    """The state of an LSTM with full gate recurrence: output, memory, and the gates of the step before."""

    h: Array
    c: Array
    i: Array
    f: Array
    o: Array


class Vector(NamedTuple):
    """A parameter that is no matrix, (blocks * units,), all of it `start` at first."""

    start: float = 0.0
    blocks: int = 1


@dataclass(frozen=True)
class Cell:
    """One row of the table: a step function and what must be known to hold its parameters.

    `blocks` names the blocks of `zx`, a letter each; `matrices` gives the blocks of each recurrent matrix, so that
    matrix `name` is (units, matrices[name] * units); `vectors` gives what each vector starts as; with `identity` the
    recurrent matrices start as the identity, else orthogonal; with `own_bias` b comes in `w` and is no part of `zx`.
    """

    name: str
    paper: str
    step: Callable[..., Any]
    state: type[Any]
    blocks: str
    matrices: Mapping[str, int]
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    identity: bool = False
    own_bias: bool = False

    @property
    def year(self) -> int:
        """Return the year of the paper."""
        return int(self.paper.split()[-1])

    @property
    def gates(self) -> int:
        """Return the number of blocks of `zx`."""
        return len(self.blocks)

    @property
    def bias(self) -> tuple[float, ...]:
        """Return the value that each block of b starts with: 1 for a forget gate of a memory c, else 0."""
        has_memory = "c" in self.state_fields
        return tuple(1.0 if has_memory and block == "f" else 0.0 for block in self.blocks)

    @property
    def widths(self) -> dict[str, int]:
        """Return how many units wide each array in `w` is, in units of the layer's width."""
        own = {"b": self.gates} if self.own_bias else {}
        return {name: vector.blocks for name, vector in self.vectors.items()} | own

    @property
    def state_fields(self) -> tuple[str, ...]:
        """Return the names of what the cell remembers; the first, h, is its output."""
        return self.state._fields
