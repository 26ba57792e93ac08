"""The scan of a layer as kernels for a GPU: its programs, and a kernel for each number of steps and rows."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from charrnn.cells import Cell
from charrnn.cells.trace import Trace
from charrnn.compiled.cuda import driver
from charrnn.compiled.cuda.access import outputs_of
from charrnn.compiled.cuda.source import Kernel, check_layout
from charrnn.compiled.cuda.tiles import Tiles, tiles_for
from charrnn.compiled.layout import Argument, Layout, layouts_of
from charrnn.compiled.program import programs_of


class Launch(NamedTuple):
    """A kernel that is loaded, and how it is launched; symbol: a name that no other code has."""

    address: int
    kernel: Kernel
    symbol: str


class Arguments(NamedTuple):
    """What a function reads and fills, in order."""

    inputs: list[Argument]
    outputs: list[Argument]


class Function:
    """One direction of the scan of a layer of `units` units; `layout` has its arguments."""

    def __init__(self, name: str, layout: Layout, units: int, bf16: bool):
        check_layout(layout, units)
        self.name, self.units, self.bf16, self._whole = name, units, bf16, layout
        self.layout = Arguments(list(layout.inputs), outputs_of(layout))
        self._launches: dict[tuple[int, int, bool], Launch] = {}

    def kernel(self, steps: int, rows: int, recording: bool, gpu: driver.Gpu) -> Kernel:
        """Return the kernel for a number of steps and rows on a GPU, or raise NoTiles."""
        products = self._whole.program.products
        tiles = tiles_for(self.units, rows, products, 2 if self.bf16 else 4, gpu.processors, gpu.shared)
        return self.of_tiles(tiles, steps, recording)

    def of_tiles(self, tiles: Tiles, steps: int, recording: bool) -> Kernel:
        """Return the kernel that is divided so."""
        return Kernel(self.name, self._whole, self.name == "backward", tiles, steps, recording, self.bf16)

    def launch(self, steps: int, rows: int, recording: bool, gpu: driver.Gpu) -> Launch:
        """Return the kernel for a number of steps and rows, compiled and loaded."""
        key = steps, rows, recording
        if key not in self._launches:
            kernel = self.kernel(steps, rows, recording, gpu)
            code = driver.code_of(kernel.source, gpu.architecture)
            symbol = hashlib.sha256(kernel.source.encode()).hexdigest()
            self._launches[key] = Launch(driver.loaded(code, kernel.name, kernel.shared, gpu.devices), kernel, symbol)
        return self._launches[key]


class CudaScan:
    """The scan of a layer of `units` units that outputs the fields `emitted`, forwards and backwards.

    resets: whether documents begin within windows. bf16: whether products have bfloat16 operands; otherwise TF32. more:
    see `Trace`. Raises NoTiles if kernels cannot compute the cell.
    """

    def __init__(self, cell: Cell, units: int, emitted: Sequence[str], resets: bool, bf16: bool, more: int = 0):
        self.programs = programs = programs_of(cell, units, emitted, resets, Trace(cell, units, more=more))
        # Packed matrices and tiles are of the processor.
        forward, backward = layouts_of(programs, panel=1, tile=1)
        self.forward = Function("forward", forward, units, bf16)
        self.backward = Function("backward", backward, units, bf16)
