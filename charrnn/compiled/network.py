"""A compiled network: object code for one text or for many, and the memory of the texts that it reads."""

import ctypes
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import llvmlite.ir as ir
import numpy as np

from charrnn.cells import Cell
from charrnn.cells.trace import Trace
from charrnn.compiled.attention import LookBack
from charrnn.compiled.cache import cached, described, key
from charrnn.compiled.draw import DrawCode
from charrnn.compiled.graph import Kind
from charrnn.compiled.layout import Layout
from charrnn.compiled.machine import Machine
from charrnn.compiled.product import Products, library
from charrnn.compiled.program import forward_only
from charrnn.compiled.row import WIDE, RowProducts, is_shared, packed_row
from charrnn.compiled.scan import this_machine
from charrnn.compiled.step import step_of
from charrnn.compiled.stream import NUMBERS, REALS, Pointers, StepCode, emit_help, emit_pack, emit_read
from charrnn.compiled.team import JOB
from charrnn.compiled.team_threads import MOST, Helpers
from charrnn.cores import usable_cores

# Arrays begin at a multiple of this many bytes, so that no vector is in two lines of the cache.
ALIGNMENT = 64
# The number of multiply-adds from which on it is worthwhile to call other threads.
HELPED = 10_000_000


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Return an array of zeros at an aligned address."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


class CompiledNetwork:
    """A network, traced as one cell, compiled for one text (`one`) or for many.

    matrices, vectors: its parameters by name, float32. table: a row of zx for every id. weights: "float32", "bf16" or
    "int8"; the last two only for one text. look_back, distances: of attention, and its keys of distances.
    """

    def __init__(
        self,
        cell: Cell,
        units: int,
        traced: Trace,
        matrices: Mapping[str, np.ndarray],
        vectors: Mapping[str, np.ndarray],
        table: np.ndarray,
        one: bool,
        weights: str = "float32",
        machine: Machine | None = None,
        look_back: LookBack | None = None,
        distances: np.ndarray | None = None,
    ):
        self.one, self.table, self.look_back = one, np.ascontiguousarray(table), look_back
        self.machine = machine = machine or this_machine()
        self.step = step = step_of(cell, units, False, traced)
        program = forward_only(step)
        for state in step.states.values():
            state.kind = Kind.FLIP
        lanes = machine.vector_bytes // 4
        panel, tile = (WIDE, WIDE) if one else (machine.vectors, machine.rows * machine.vectors)
        functions = [look_back.name] if look_back else []
        vectors_of_step = list(step.vectors.values())
        self.layout = Layout(program, vectors_of_step, panel=panel * lanes, tile=tile * lanes, functions=functions)
        self.places = Pointers(self.layout).place
        self.is_shared = one and any(is_shared(k, n, lanes) for _, _, k, n in self.layout.matrices)
        *_, logits = step.states.values()
        self.fields = cell.state_fields[:-1]
        self.vocab = logits.width

        def make() -> bytes:
            module, real = ir.Module("network"), ir.FloatType()
            module.triple = machine.triple
            products = RowProducts(module, machine, real, weights) if one else Products(module, machine, "float32")
            code = StepCode(products, self.layout, step.zx, logits, one, look_back)
            emit_read(code, one)
            if one:
                DrawCode(code)
                if self.is_shared:
                    emit_help(code)
            else:
                emit_pack(code)
            return machine.object_code(module)

        # The library is loaded first, as the code calls it.
        called = None if one else library(machine, "float32").loaded.digest
        facts = (cell.state_fields, units, described(traced), one, weights, called, look_back)
        self.loaded = machine.load(cached(key(machine, *facts), make))
        self.shared = {f"w_{name}": np.ascontiguousarray(vector) for name, vector in vectors.items()}
        if look_back is not None and distances is not None:
            self.shared["distances"] = np.ascontiguousarray(distances)
        matrices = {name: np.ascontiguousarray(matrix) for name, matrix in matrices.items()}
        self.products = sum(matrix.size for matrix in matrices.values())
        for argument in self.layout.outputs:
            if argument.name.startswith("packed "):
                matrix = matrices[argument.name.removeprefix("packed ")]
                if one:
                    packed = packed_row(matrix, weights, lanes)
                    self.shared[argument.name] = aligned(packed.shape, np.uint8)
                    self.shared[argument.name][:] = packed
                else:
                    self.shared[argument.name] = aligned(argument.shape(1, 1))
        if not one:
            Memory(self, 1, matrices).pack()

    @cached_property
    def helpers(self) -> Helpers:
        """Return the other threads that compute a text together with the one that reads it."""
        return Helpers(min(usable_cores(), MOST) - 1 if self.is_shared else 0)

    @cached_property
    def functions(self) -> dict[str, Any]:
        """Return the compiled functions by name; ctypes releases the GIL while they run."""
        names = ["read", "draw" if self.one else "pack", *(["help"] if self.is_shared else [])]
        return {name: ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.loaded.address(f"call {name}")) for name in names}


class Memory:
    """The memory of `rows` texts that a compiled network reads; the code for one text reads them one after the other.

    `t` counts the steps; the state after them is in one half of each field. more: other arrays, which the rows share.
    of_rows: keys, values and length of attention, with an entry for each row.
    """

    def __init__(
        self,
        network: CompiledNetwork,
        rows: int,
        more: Mapping[str, np.ndarray] = MappingProxyType({}),
        of_rows: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        self.network, self.rows, self.t = network, rows, 0
        self.numbers, self.reals = np.zeros(len(NUMBERS), np.int64), np.zeros(len(REALS))
        self.job = aligned((JOB,), np.int64)
        caller = {"table": network.table, "numbers": self.numbers, "reals": self.reals, "job": self.job}
        self.arrays = {**network.shared, **caller, "weights": aligned((network.vocab,)), **more}
        if network.look_back is not None:
            self.arrays["scores"] = aligned((network.look_back.n + 1,))
        self.tables = np.zeros((rows if network.one else 1, len(network.places)), np.uintp)
        at_once = rows // len(self.tables)
        # Each table has its own state, (tables, 2, rows, width); the tables share everything else.
        self.fields: dict[str, np.ndarray] = {}
        for argument in network.layout.outputs:
            shape = argument.shape(1, at_once, recording=False)
            if argument.array is not None and argument.array.kind is Kind.FLIP:
                self.fields[argument.name] = aligned((len(self.tables), *shape))
                for table, array in zip(self.tables, self.fields[argument.name], strict=True):
                    table[network.places[argument.name]] = array.ctypes.data
            elif argument.name not in self.arrays:
                self.arrays[argument.name] = aligned(shape)
        for name, array in self.arrays.items():
            self.tables[:, network.places[name]] = array.ctypes.data
        self.of_rows = dict(of_rows)
        for name, array in of_rows.items():
            each = array.nbytes // len(self.tables)
            self.tables[:, network.places[name]] = array.ctypes.data + each * np.arange(len(self.tables))

    def state(self) -> list[np.ndarray]:
        """Return the fields of the state of all layers, each (rows, units); later steps change them."""
        half = (self.t + 1) & 1
        fields = [self.fields[f"s_{name}"][:, half] for name in self.network.fields]
        return [field[:, 0] if self.network.one else field[0] for field in fields]

    def _call(self, name: str, table: int = 0, steps: int = 0, **caller: np.ndarray) -> None:
        """Call a function with arrays of the caller; if it makes many steps of one text, other threads help."""
        network, address = self.network, self.tables[table].ctypes.data
        for argument, array in caller.items():
            self.tables[table, network.places[argument]] = array.ctypes.data
        if steps * network.products < HELPED:
            network.functions[name](address)
            return

        def step() -> int:
            network.functions[name](address)
            return int(self.numbers[0])

        def help() -> None:
            # As long as it runs, it keeps this memory.
            network.functions["help"](self.tables[table].ctypes.data)

        network.helpers.run(step, help, self.job)

    def pack(self) -> None:
        """Pack the matrices."""
        self._call("pack")

    def read(self, ids: np.ndarray, logits: np.ndarray) -> None:
        """Step with ids, (count, rows), and fill logits, float32 (count, rows, vocab) or, of the last, (1, ...)."""
        stride = logits[0].size if len(logits) > 1 else 0
        self.numbers[:] = (len(ids), self.rows, self.t, stride, 0)
        ids = np.ascontiguousarray(ids.T if self.network.one else ids[None], np.int64)
        for table, own in enumerate(ids):
            self._call("read", table, len(own), ids=own, logits=logits[:, table] if self.network.one else logits)
        self.t += int(self.numbers[0])

    def draw(
        self,
        ids: np.ndarray,
        logits: np.ndarray,
        uniforms: np.ndarray,
        mask: np.ndarray,
        stops: np.ndarray,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
    ) -> int:
        """Step with ids[0] and draw the following ids; return how many, at most one for each uniform number.

        ids: int64. logits: float32, (draws, vocab), or (1, vocab) for the last. mask: float32, added to the logits.
        stops: uint8, not 0 for an id after which drawing stops; they have one place more, for a draw from what is not a
        number.
        """
        self.numbers[:] = (len(uniforms), 1, self.t, logits.shape[1] if len(logits) > 1 else 0, top_k)
        self.reals[:] = (temperature, top_p, min_p)
        self._call("draw", steps=len(uniforms), ids=ids, logits=logits, uniforms=uniforms, mask=mask, stops=stops)
        made = int(self.numbers[0])
        self.t += made
        return made
