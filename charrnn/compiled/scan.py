"""The compiled scan of a layer: its functions, and the arrays that they need."""

import ctypes
from collections.abc import Sequence
from functools import cache

import llvmlite.ir as ir
import numpy as np

from charrnn.cells import Cell
from charrnn.cells.trace import Trace
from charrnn.compiled.cache import cached, described, key
from charrnn.compiled.emit import ScanCode
from charrnn.compiled.layout import Layout, layouts_of
from charrnn.compiled.machine import Loaded, Machine
from charrnn.compiled.product import Products, library, panel
from charrnn.compiled.program import programs_of


@cache
def this_machine() -> Machine:
    """Return this processor."""
    return Machine()


class Native:
    """A function of loaded code, `void (void **outputs, void **inputs)`; its first input is int64 `sizes`.

    address: where it is. symbol: a name that is the same in all processes, and that no other code has.
    """

    def __init__(self, loaded: Loaded, name: str):
        # The code is there as long as what may call it.
        self.loaded, self.address = loaded, loaded.address(name)
        self.symbol = f"{name}_{loaded.digest}"
        # ctypes releases the GIL while it runs.
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self.address)

    def run(self, sizes: Sequence[int], inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Fill `outputs` from `inputs`; all are contiguous."""
        arrays = (outputs, [np.array(sizes, np.int64), *inputs])
        tables = [np.array([array.ctypes.data for array in each], np.uintp) for each in arrays]
        self._call(tables[0].ctypes.data, tables[1].ctypes.data)


class Function(Native):
    """One direction of a scan, and its layout."""

    def __init__(self, loaded: Loaded, name: str, layout: Layout):
        super().__init__(loaded, name)
        self.layout = layout

    def __call__(
        self, steps: int, rows: int, recording: bool, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> None:
        """Fill `outputs` from `inputs`: contiguous arrays of the shapes of the layout's arguments."""
        self.run((steps, rows, recording), inputs, outputs)


class CompiledScan:
    """The scan of a layer of `units` units that outputs the fields `emitted`, forwards and backwards.

    resets: whether documents begin within windows. more: see `Trace`.
    """

    def __init__(
        self,
        cell: Cell,
        units: int,
        emitted: Sequence[str],
        resets: bool,
        dtype: str,
        more: int = 0,
        machine: Machine | None = None,
    ):
        machine, traced = machine or this_machine(), Trace(cell, units, more=more)
        self.programs = programs = programs_of(cell, units, emitted, resets, traced)
        width = panel(machine, dtype)
        forward, backward = layouts_of(programs, width, machine.rows * width)

        def make() -> bytes:
            module = ir.Module("scan")
            module.triple = machine.triple
            products = Products(module, machine, dtype)
            ScanCode(products, "forward", forward, backwards=False)
            ScanCode(products, "backward", backward, backwards=True)
            return machine.object_code(module)

        # The arguments too: code from the cache must never take one for another.
        facts = (
            *(described(traced), dict(cell.initial), units, list(emitted), resets, dtype),
            *(a.described() for each in (forward, backward) for a in (*each.inputs, *each.outputs)),
        )
        # It is loaded first, as the code calls it.
        products = library(machine, dtype)
        loaded = machine.load(cached(key(machine, "scan", products.loaded.digest, *facts), make))
        self.forward, self.backward = Function(loaded, "forward", forward), Function(loaded, "backward", backward)
