"""How a thread reaches what a kernel computes with: lines of CUDA C++ that load, store, and exchange operands.

Every array of numbers in registers is declared as `float name[ELEMENTS]`, a number for each row of the thread; EACH is
the loop over them.
"""

from collections.abc import Sequence

import numpy as np

from charrnn.compiled.cuda.tiles import Tiles
from charrnn.compiled.graph import Array, Kind
from charrnn.compiled.layout import Argument, Layout
from charrnn.compiled.step import Product

# A row's columns of an array that one thread has: the array, whether of the following step, the first column.
Slot = tuple[Array, bool, int]
# What is multiplied: an array, its first column, and the number of columns.
Operand = tuple[Array, int, int]
# Unsigned integers between the counters of two groups of CTAs, which must not share a line of the cache.
COUNTER = 32


def operand_of(product: Product) -> Operand:
    """Return what a product multiplies."""
    array, offset = product.operand.args
    return array, offset, product.rows


def outputs_of(layout: Layout) -> list[Argument]:
    """Return the outputs of a kernel: what belongs to one step stays in registers."""
    return [a for a in layout.outputs if a.array is not None and a.array.kind is not Kind.SCRATCH]


class Access:
    """The arguments and the memory of a kernel, and the lines that read and write them.

    inputs, outputs: the arguments. operands: what products multiply, each in memory twice, for the steps in turn. sums:
    the arrays that add up all rows and steps. memory: the bytes of what is in memory besides the arguments: operands,
    sums of each group of rows, and counters. constants: lines outside of the kernel.
    """

    def __init__(self, name: str, layout: Layout, backwards: bool, tiles: Tiles, steps: int, bf16: bool):
        self.name, self.backwards, self.tiles, self.steps = name, backwards, tiles, steps
        self.inputs = list(layout.inputs)
        self.outputs = outputs_of(layout)
        self.pointers = {(a.name, a.role): f"p{place}" for place, a in enumerate([*self.inputs, *self.outputs])}
        self.operands = list(dict.fromkeys(map(operand_of, layout.program.products)))
        self.sums = [array for array in layout.arrays if array.kind is Kind.SUM]
        counters = len(self.operands) * tiles.down + tiles.across
        self.memory = [
            *(2 * tiles.down * tiles.rows * columns * (2 if bf16 else 4) for _, _, columns in self.operands),
            *(4 * tiles.down * array.width for array in self.sums),
            4 * COUNTER * counters,
        ]
        self.constants: list[str] = []
        self._names = 0

    def new_name(self, of: str = "v") -> str:
        """Return a name that nothing has yet."""
        self._names += 1
        return f"{of}{self._names}"

    def beginning(self) -> list[str]:
        """Return the lines that name the arguments and the memory, and this thread's place in them."""
        count, at = len(self.inputs) + len(self.outputs), len(self.inputs) + len(self.outputs) + len(self.operands)
        return [
            *(f"float *p{n} = (float *)pointers.at[{n}];" for n in range(count)),
            *(f"Operand *o{n} = (Operand *)pointers.at[{count + n}];" for n in range(len(self.operands))),
            *(f"float *total{n} = (float *)pointers.at[{at + n}];" for n in range(len(self.sums))),
            f"unsigned *counters = (unsigned *)pointers.at[{count + len(self.memory) - 1}];",
            "SHARED_PARTS;",
            "const int slice = blockIdx.x, first_row = blockIdx.y * ROWS;",
            "const int column = threadIdx.x % SLICE, at_column = slice * SLICE + column;",
            "int row[ELEMENTS]; bool mine[ELEMENTS];",
            "EACH {",
            "  int local = (e * THREADS + (int)threadIdx.x) / SLICE;",
            "  row[e] = first_row + local; mine[e] = local < ROWS && row[e] < BATCH;",
            "}",
        ]

    def time(self, n: str) -> str:
        """Return the time of the nth step."""
        return f"({self.steps - 1} - ({n}))" if self.backwards else f"({n})"

    def load_first(self, array: Array, offset: int, into: str) -> str:
        """Return the line that loads a state before the first step, or its gradient after the last."""
        pointer = self.pointers[array.name, "last" if self.backwards else "first"]
        return f"EACH {into}[e] = mine[e] ? {pointer}[(size_t)row[e] * {array.width} + {offset} + at_column] : 0.0f;"

    def load(self, slot: Slot, narrow: bool, into: str, n: str) -> str:
        """Return the line that loads an input of the nth step; narrow: one number for each row."""
        array, following, offset = slot
        column = str(offset) if narrow else f"{offset} + at_column"
        if array.value is not None:
            return f"EACH {into}[e] = {self._table(array)}[{column}];"
        pointer = self.pointers[array.name, "all"]
        if array.kind is Kind.ROW:
            return f"EACH {into}[e] = {pointer}[{column}];"
        time = self.time(n) + (" + 1" if following else "")
        at = f"{pointer}[((size_t)({time}) * BATCH + row[e]) * {array.width} + {column}]"
        return f"EACH {into}[e] = mine[e] ? {at} : 0.0f;"

    def _table(self, array: Array) -> str:
        """Return the name of the numbers of an array whose value is known."""
        table = f"{array.name}_of_{self.name}"
        line = f"__device__ const float {table}[] = {{{', '.join(map(number, np.asarray(array.value)))}}};"
        if line not in self.constants:
            self.constants.append(line)
        return table

    def store(self, array: Array, offset: int, name: str, time: str) -> str:
        """Return the line that stores numbers of a time."""
        pointer, width = self.pointers[array.name, "all"], array.width
        at = f"{pointer}[((size_t)({time}) * BATCH + row[e]) * {width} + {offset} + at_column]"
        return f"EACH if (mine[e]) {at} = {name}[e];"

    def slots(self, operand: Operand, following: bool) -> list[Slot]:
        """Return the slots of an operand, in the order of its columns."""
        array, offset, columns = operand
        return [(array, following, offset + low) for low in range(0, columns, self.tiles.units)]

    def operand_at(self, operand: Operand, n: str, row: str) -> str:
        """Return the address of a row of an operand of the nth step."""
        place = self.operands.index(operand)
        return f"(o{place} + ((size_t)(({n}) & 1) * {self.tiles.down} * ROWS + {row}) * {operand[2]})"

    def send(self, operand: Operand, names: Sequence[str], n: str) -> list[str]:
        """Return the lines that write this CTA's columns of an operand of the nth step, and tell the other CTAs."""
        at = self.operand_at(operand, n, "row[e]")
        writes = [
            f"{at}[{low * self.tiles.units} + at_column] = operand_of({name}[e]);" for low, name in enumerate(names)
        ]
        # The rows beyond the batch have room too.
        return [f"EACH if (row[e] < first_row + ROWS) {{ {' '.join(writes)} }}", f"arrive({self._counter(operand)});"]

    def wait(self, operand: Operand) -> str:
        """Return the line that waits until all CTAs have sent an operand of this step."""
        return f"wait_for({self._counter(operand)}, {self.tiles.across}u * (n + 1));"

    def _counter(self, operand: Operand) -> str:
        return f"counters + ({self.operands.index(operand) * self.tiles.down} + blockIdx.y) * {COUNTER}"

    def add_up(self, totals: Sequence[tuple[Array, int, str]]) -> list[str]:
        """Return the lines that store the sums over all rows of what each thread added up: array, column, name.

        A CTA adds up its rows; then the first of those that have the same units adds up theirs, always in one order.
        """
        lines = []
        for array, offset, name in totals:
            lines += [
                "__syncthreads();",
                f"{{ float sum = 0; EACH sum += {name}[e]; parts[threadIdx.x] = sum; }}",
                "__syncthreads();",
                "if (threadIdx.x < SLICE) {",
                "  float sum = 0; for (int n = column; n < THREADS; n += SLICE) sum += parts[n];",
                f"  {self._total(array)}[(size_t)blockIdx.y * {array.width} + {offset} + at_column] = sum;",
                "}",
            ]
        counter = f"counters + ({len(self.operands) * self.tiles.down} + slice) * {COUNTER}"
        lines += [f"arrive({counter});", "if (blockIdx.y > 0) return;", f"wait_for({counter}, {self.tiles.down}u);"]
        lines.append("if (threadIdx.x < SLICE) {")
        for array, offset, _ in totals:
            at = f"{offset} + at_column"
            each = f"*(volatile float *)({self._total(array)} + (size_t)n * {array.width} + {at})"
            lines.append(
                f"  {{ float sum = 0; for (int n = 0; n < {self.tiles.down}; ++n) sum += {each}; "
                f"{self.pointers[array.name, 'all']}[{at}] = sum; }}"
            )
        return [*lines, "}"]

    def _total(self, array: Array) -> str:
        return f"total{self.sums.index(array)}"


def number(x: float) -> str:
    """Return a float32 number in C."""
    x = float(np.float32(x))
    if x != x:
        return "__int_as_float(0x7fc00000)"
    return f"({x!r}f)" if abs(x) != float("inf") else f"({'-' if x < 0 else ''}__int_as_float(0x7f800000))"
