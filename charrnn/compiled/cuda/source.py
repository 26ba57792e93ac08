"""The source of a kernel, in CUDA C++: all time steps of a layer in one direction, from the layout of its loops.

Every number of a step is computed by the thread that has its row and unit, and stays in its registers. Only the
operands of products go through memory: each CTA writes its units, waits until the others have, and reads all.
"""

from pathlib import Path

from charrnn.compiled.cuda.access import Access, Slot
from charrnn.compiled.cuda.step import StepLines
from charrnn.compiled.cuda.tiles import NoTiles, Tiles
from charrnn.compiled.graph import Kind
from charrnn.compiled.layout import Layout

PRELUDE = Path(__file__).with_name("prelude.cuh")


def check_layout(layout: Layout, units: int) -> None:
    """Raise NoTiles if a kernel cannot compute a layout."""
    groups = [group for phase in layout.phases for group in phase]
    if layout.sums or any(group.width % units for group in groups):
        raise NoTiles("it adds up columns or has narrow arrays")
    results = {product.result for product in layout.program.products}
    for product in layout.program.products:
        array, offset = product.operand.args
        if product.rows % units or product.columns % units or offset % units:
            raise NoTiles("a matrix is narrower than the layer")
        if array in results or array in layout.given:
            raise NoTiles("a product is multiplied as it is")


class Kernel:
    """A kernel `void name(Pointers)`: the pointers to its inputs, its outputs and its memory (`Access`), in this order.

    The counters, the last of the memory, must be 0 when it begins. recording: whether to store what only the backward
    pass reads. shared: the bytes of shared memory of a CTA.
    """

    def __init__(
        self, name: str, layout: Layout, backwards: bool, tiles: Tiles, steps: int, recording: bool, bf16: bool
    ):
        check_layout(layout, tiles.units)
        self.name, self.tiles, self.steps, self.recording, self.bf16 = name, tiles, steps, recording, bf16
        self._layout = layout
        access = Access(name, layout, backwards, tiles, steps, bf16)
        self.inputs, self.outputs, self.memory = access.inputs, access.outputs, access.memory
        self.shared = max([*map(tiles.parts, layout.program.products), 4 * tiles.threads])
        body = self._body(access)
        self.source = "\n".join(
            [
                *(f"#define {name} {value}" for name, value in self._constants().items()),
                PRELUDE.read_text(),
                f"struct Pointers {{ void *at[{len(self.inputs) + len(self.outputs) + len(self.memory)}]; }};",
                *access.constants,
                f'extern "C" __global__ void __launch_bounds__(THREADS, 1) {name}(const Pointers pointers) {{',
                *body,
                "}",
                "",
            ]
        )

    def _constants(self) -> dict[str, int]:
        """Return the constants of the prelude."""
        tiles = self.tiles
        return {
            "BF16": int(self.bf16),
            "UNITS": tiles.units,
            "BATCH": tiles.batch,
            "SLICE": tiles.slice,
            "ROWS": tiles.rows,
            "PASS": tiles.at_once,
            "THREADS": tiles.threads,
            "ELEMENTS": tiles.elements,
            # With more warps a thread has fewer registers.
            "DEPTH": 8 if tiles.warps == 8 else 4,
        }

    def _body(self, access: Access) -> list[str]:
        """Return the lines of the kernel."""
        matrices, loading = self._matrices(access)
        carried: dict[Slot, str] = {}
        for array in self._layout.arrays:
            if array.kind in (Kind.STATE, Kind.FLIP) and array not in self._layout.given:
                for offset in range(0, array.width, self.tiles.units):
                    name = carried[array, False, offset] = access.new_name("s")
                    loading += [f"float {name}[ELEMENTS];", access.load_first(array, offset, name)]
                    loading += [access.store(array, offset, name, "0")] if array.kind is Kind.STATE else []
        step = StepLines(access, self._layout, matrices, carried, self.recording)
        for operand in filter(step.begins_with, access.operands):
            loading += access.send(operand, [carried[slot] for slot in access.slots(operand, False)], "0")
        ending = [
            access.store(array, offset, name, "0")
            for (array, _, offset), name in carried.items()
            if array.kind is Kind.FLIP
        ]
        if step.totals:
            ending += access.add_up([(*key, name) for key, name in step.totals.items()])
        loop = [f"for (int n = 0; n < {self.steps}; ++n) {{", f"const int t = {access.time('n')};", *step.lines, "}"]
        return [*access.beginning(), *loading, *step.before, *loop, *ending]

    def _matrices(self, access: Access) -> tuple[dict[tuple[str, bool], str], list[str]]:
        """Return the names of the matrices, and the lines that load this CTA's columns of them."""
        names: dict[tuple[str, bool], str] = {}
        lines = []
        for product in self._layout.program.products:
            if (product.matrix, product.transposed) in names:
                continue
            name = names[product.matrix, product.transposed] = f"m{len(names)}"
            shape = product.rows, product.columns // self.tiles.units, *self.tiles.warps_of(product)
            transposed = "true" if product.transposed else "false"
            lines.append(f"Product<{', '.join(map(str, shape))}, {transposed}> {name};")
            lines.append(f"{name}.load({access.pointers[product.matrix, 'all']}, slice);")
        return names, lines
