"""Matrix products: matrices packed into panels, and kernels that keep a block of the result in registers.

A matrix (K, N) is packed once for all steps of a window: its rows are cut into chunks, its columns into panels as wide
as a kernel; a panel's part in a chunk is contiguous, row by row. Columns that a last panel lacks may be anything.

The functions are the same for all cells. So they are compiled apart from them, once for a processor: `Library`.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import llvmlite.binding as llvm
import llvmlite.ir as ir

from charrnn.compiled.cache import cached, key
from charrnn.compiled.code import I64, PTR, Code, zeros
from charrnn.compiled.machine import Loaded, Machine

REALS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
# Rows of a chunk, at most: a panel of that length stays in a core's cache.
CHUNK = 512
UNROLL = 4
# The length of a row is the distance from one row of a matrix to the next. transpose: a matrix and the length of its
# rows; its transpose and the length of its rows; rows, columns. pack, pack_transposed: a matrix and the length of its
# rows; the packed matrix; K, N. multiply: rows, K, N; A and the length of its rows; the packed matrix; C and the length
# of its rows; Z, the length of its rows, and 1, or 0 if Z is one panel of zeros; memory of a tile.
PACK = [PTR, I64, PTR, I64, I64]
FUNCTIONS = {
    "transpose": [PTR, I64, PTR, I64, I64, I64],
    "pack": PACK,
    "pack_transposed": PACK,
    "multiply": [I64, I64, I64, PTR, I64, PTR, PTR, I64, PTR, I64, I64, PTR],
}


def panel(machine: Machine, dtype: str) -> int:
    """Return the number of columns of a panel."""
    return machine.vectors * machine.vector_bytes // (8 if dtype == "float64" else 4)


def chunks(code: Code, k: ir.Value) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
    """Yield, in a loop, the number, the first row and the rows of each chunk; these are as equal as can be.

    There is always one, if only without rows: a sum of nothing is 0.
    """
    b = code.b
    count = b.sdiv(b.add(k, code.i(CHUNK - 1)), code.i(CHUNK))
    count = b.select(b.icmp_signed(">", count, code.i(0)), count, code.i(1))
    with code.loop(0, count) as place:
        low = b.sdiv(b.mul(k, place), count)
        yield place, low, b.sub(b.sdiv(b.mul(k, b.add(place, code.i(1))), count), low)


class Library:
    """The functions of products with packed matrices, loaded, of a type of numbers; others call them by `symbol`."""

    def __init__(self, machine: Machine, dtype: str):
        def make() -> bytes:
            module = ir.Module("products")
            module.triple = machine.triple
            _Functions(module, machine, dtype)
            return machine.object_code(module)

        self.loaded: Loaded = machine.load(cached(key(machine, "products", dtype), make))
        for name in FUNCTIONS:
            llvm.add_symbol(self.symbol(name), self.loaded.address(name))

    def symbol(self, name: str) -> str:
        """Return the name of a function in this process, the same for equal code."""
        return f"charrnn_{name}_{self.loaded.digest[:16]}"


@cache
def library(machine: Machine, dtype: str) -> Library:
    """Return the functions of a machine, which stay loaded."""
    return Library(machine, dtype)


class Products:
    """Emits calls of a library's functions into a module."""

    def __init__(self, module: ir.Module, machine: Machine, dtype: str):
        self.module, self.machine, self.real = module, machine, REALS[dtype]
        self.panel, self._library = panel(machine, dtype), library(machine, dtype)

    def call(self, code: Code, name: str, arguments: Sequence[ir.Value]) -> None:
        """Emit the call of one of FUNCTIONS."""
        symbol = self._library.symbol(name)
        known = self.module.globals.get(symbol)
        code.b.call(
            known or ir.Function(self.module, ir.FunctionType(ir.VoidType(), FUNCTIONS[name]), symbol), arguments
        )

    def pack(self, code: Code, matrix: ir.Value, packed: ir.Value, k: int, n: int, transposed: bool) -> None:
        """Emit the packing of a matrix (K, N), or of the transpose of a matrix (N, K)."""
        name, length = ("pack_transposed", k) if transposed else ("pack", n)
        self.call(code, name, [matrix, code.i(length), packed, code.i(k), code.i(n)])

    def multiply(
        self,
        code: Code,
        k: int,
        n: int,
        rows: ir.Value,
        a: tuple[ir.Value, int],
        packed: ir.Value,
        c: tuple[ir.Value, int],
        z: tuple[ir.Value, int] | None,
        tile: ir.Value,
    ) -> None:
        """Emit C = Z + A P, where the pairs are an address and the length of a row; without z, C = A P.

        tile: memory for a kernel's block of the result.
        """
        start = (
            [z[0], code.i(z[1]), code.i(1)] if z else [zeros(self.module, self.real, self.panel), code.i(0), code.i(0)]
        )
        sizes = [rows, code.i(k), code.i(n)]
        self.call(code, "multiply", [*sizes, a[0], code.i(a[1]), packed, c[0], code.i(c[1]), *start, tile])


class _Functions:
    """Emits the functions of a library."""

    def __init__(self, module: ir.Module, machine: Machine, dtype: str):
        self.module, self.machine, self.real = module, machine, REALS[dtype]
        self.panel = panel(machine, dtype)
        # The numbers of a line of the cache.
        self.block = 64 // (8 if dtype == "float64" else 4)
        self.kernels = {rows: self._kernel(rows) for rows in range(1, machine.rows + 1)}
        self.transpose = self._transpose()
        for transposed in (False, True):
            self._pack(transposed)
        self._multiply()

    def _code(self, name: str, arguments: Sequence[ir.Type]) -> Code:
        return Code(self.module, self.machine, self.real, name, arguments)

    def _kernel(self, rows: int) -> ir.Function:
        """Emit C = Z + A P for some rows and a panel P (K, its width); lda, ldc, ldz: the lengths of the rows.

        Z is added last: so the products need not wait for it to come from memory.
        """
        code = self._code(f"kernel{rows}", [PTR, I64, PTR, I64, PTR, I64, PTR, I64])
        code.private()
        b, lanes = code.b, code.lanes
        a, lda, p, k, c, ldc, z, ldz = code.function.args
        cells = [(row, vector) for row in range(rows) for vector in range(self.machine.vectors)]
        a_rows = [code.at(a, b.mul(lda, code.i(row))) for row in range(rows)]

        def of(base: ir.Value, length: ir.Value, row: int, vector: int) -> ir.Value:
            return code.at(code.at(base, b.mul(length, code.i(row))), vector * lanes)

        sums: dict[tuple[int, int], ir.Value] = dict.fromkeys(cells, code.number(0.0))
        whole = b.and_(k, code.i(-UNROLL))
        for start, stop, unroll in ((code.i(0), whole, UNROLL), (whole, k, 1)):
            before, head, body, after = b.block, *(b.append_basic_block() for _ in range(3))
            b.branch(head)
            b.position_at_end(head)
            n = b.phi(I64)
            n.add_incoming(start, before)
            phis = {cell: b.phi(code.type) for cell in cells}
            for cell, phi in phis.items():
                phi.add_incoming(sums[cell], before)
            b.cbranch(b.icmp_signed("<", n, stop), body, after)
            b.position_at_end(body)
            sums = dict(phis)
            for step in range(unroll):
                now = b.add(n, code.i(step), flags=("nsw",))
                line = code.at(p, b.mul(now, code.i(self.panel)))
                columns = [code.load(code.at(line, vector * lanes)) for vector in range(self.machine.vectors)]
                for row in range(rows):
                    x = code.load_one(code.at(a_rows[row], now))
                    for vector in range(self.machine.vectors):
                        sums[row, vector] = code.fma(x, columns[vector], sums[row, vector])
            n.add_incoming(b.add(n, code.i(unroll), flags=("nsw",)), body)
            for cell, phi in phis.items():
                phi.add_incoming(sums[cell], body)
            b.branch(head)
            b.position_at_end(after)
            sums = dict(phis)
        for cell in cells:
            code.store(code.add(code.load(of(z, ldz, *cell)), sums[cell]), of(c, ldc, *cell))
        b.ret_void()
        return code.function

    def _panels(self, code: Code, n: ir.Value) -> ir.Value:
        return code.b.sdiv(code.b.add(n, code.i(self.panel - 1)), code.i(self.panel))

    def _pack(self, transposed: bool) -> None:
        """Emit the packing of a matrix (K, N), or of the transpose of a matrix (N, K).

        A few rows at a time: so the matrix is read in the order of memory, and a panel's part of it is whole lines.
        """
        name = "pack_transposed" if transposed else "pack"
        code = self._code(name, FUNCTIONS[name])
        b = code.b
        matrix, length, packed, k, n = code.function.args
        panels = self._panels(code, n)
        for _, low, count in chunks(code, k):
            few = count if transposed else code.i(self.block)
            with code.loop(0, count, few) as start, code.loop(0, panels) as j:
                lines, first = code.least(b.sub(count, start), few), b.mul(j, code.i(self.panel))
                row = b.add(b.add(b.mul(low, panels), b.mul(j, count)), start)
                there, wide = code.at(packed, b.mul(row, code.i(self.panel))), b.sub(n, first)
                wide = code.least(wide, code.i(self.panel))
                if transposed:
                    source = code.at(matrix, b.add(b.mul(first, length), low))
                    b.call(self.transpose, [source, length, there, code.i(self.panel), wide, lines])
                else:
                    source = code.at(matrix, b.add(b.mul(b.add(low, start), length), first))
                    self._copy_lines(code, source, length, there, lines, wide)
        b.ret_void()

    def _copy_lines(
        self, code: Code, source: ir.Value, length: ir.Value, to: ir.Value, lines: ir.Value, wide: ir.Value
    ) -> None:
        """Emit the copy of a panel's part of some rows: of whole vectors if it is whole."""
        b = code.b

        def copy(line: ir.Value, column: ir.Value | int) -> None:
            value = code.load(code.at(code.at(source, b.mul(line, length)), column))
            code.store(value, code.at(code.at(to, b.mul(line, code.i(self.panel))), column))

        with b.if_else(b.icmp_signed("==", wide, code.i(self.panel))) as (then, otherwise):
            with then, code.loop(0, lines) as line:
                for column in range(0, self.panel, code.lanes):
                    copy(line, column)
            with otherwise:
                code.use(1)
                with code.loop(0, lines) as line, code.loop(0, wide) as column:
                    copy(line, column)
                code.use(code.widest)

    def _transpose(self) -> ir.Function:
        """Emit the transposition of a matrix, in squares of as many rows as a vector has numbers.

        A line of the cache of each row at a time: if a row were passed over at every square, each line would be read
        from memory anew, as rows at a distance of a power of two share a few places of the cache.
        """
        code = self._code("transpose", FUNCTIONS["transpose"])
        b, lanes = code.b, code.widest
        source, length, to, to_length, rows, columns = code.function.args
        squares, whole = (b.and_(count, code.i(-lanes)) for count in (rows, columns))
        with code.loop(0, whole, self.block) as start, code.loop(0, squares, lanes) as row:
            end = code.least(b.add(start, code.i(self.block)), whole)
            with code.loop(start, end, lanes) as column:
                first = b.add(b.mul(row, length), column)
                lines = [code.load(code.at(source, b.add(first, b.mul(length, code.i(n))))) for n in range(lanes)]
                first = b.add(b.mul(column, to_length), row)
                for n, line in enumerate(code.transposed(lines)):
                    code.store(line, code.at(to, b.add(first, b.mul(to_length, code.i(n)))))
        code.use(1)
        # The columns beyond the squares, and the rows below them.
        for first_row, last_row, first in ((code.i(0), squares, whole), (squares, rows, code.i(0))):
            with code.loop(first_row, last_row) as row, code.loop(first, columns) as column:
                value = code.load(code.at(source, b.add(b.mul(row, length), column)))
                code.store(value, code.at(to, b.add(b.mul(column, to_length), row)))
        b.ret_void()
        return code.function

    def _multiply(self) -> None:
        """Emit C = Z + A P: chunk by chunk, panel by panel, in blocks of rows as equal as can be."""
        code = self._code("multiply", FUNCTIONS["multiply"])
        b, most = code.b, self.machine.rows
        rows, k, n, a, lda, packed, c, ldc, z, ldz, moves, tile = code.function.args
        blocks = b.sdiv(b.add(rows, code.i(most - 1)), code.i(most))
        # Without rows there are no blocks, and nothing may be divided by their number.
        parts = b.select(b.icmp_signed(">", blocks, code.i(0)), blocks, code.i(1))
        size, larger = b.sdiv(rows, parts), b.srem(rows, parts)
        panels, whole = self._panels(code, n), b.sdiv(n, code.i(self.panel))
        for chunk, low, count in chunks(code, k):
            # After the first chunk, the result itself is what is added to.
            first = b.icmp_signed("==", chunk, code.i(0))
            start, lds, steps = (b.select(first, x, y) for x, y in ((z, c), (ldz, ldc), (moves, code.i(1))))
            for begin, end, is_whole in ((code.i(0), whole, True), (whole, panels, False)):
                with code.loop(begin, end) as j, code.loop(0, blocks) as i:
                    more = b.icmp_signed("<", i, larger)
                    m = b.add(b.mul(i, size), b.select(more, i, larger))
                    height = b.add(size, b.zext(more, I64))
                    column = b.mul(j, code.i(self.panel))
                    own_panel = code.at(packed, b.mul(b.add(b.mul(low, panels), b.mul(j, count)), code.i(self.panel)))
                    left = [code.at(a, b.add(b.mul(m, lda), low)), lda, own_panel, count]
                    result = code.at(c, b.add(b.mul(m, ldc), column))
                    added = code.at(start, b.add(b.mul(m, lds), b.mul(column, steps)))
                    if is_whole:
                        self._choose(code, height, [*left, result, ldc, added, lds])
                        continue
                    # The kernel would read and write beyond the last column: it works on the tile.
                    own, rest = [tile, code.i(self.panel)], b.sub(n, column)
                    self._copy(code, height, [added, lds], own, rest)
                    self._choose(code, height, [*left, *own, *own])
                    self._copy(code, height, own, [result, ldc], rest)
        b.ret_void()

    def _choose(self, code: Code, height: ir.Value, arguments: list[ir.Value]) -> None:
        """Emit the call of the kernel for this number of rows."""
        b = code.b
        end = b.append_basic_block()
        switch = b.switch(height, end)
        for rows, kernel in self.kernels.items():
            case = b.append_basic_block()
            switch.add_case(code.i(rows), case)
            b.position_at_end(case)
            b.call(kernel, arguments)
            b.branch(end)
        b.position_at_end(end)

    @staticmethod
    def _copy(code: Code, height: ir.Value, source: list[ir.Value], to: list[ir.Value], columns: ir.Value) -> None:
        b = code.b
        code.use(1)
        with code.loop(0, height) as row, code.loop(0, columns) as column:
            value = code.load(code.at(source[0], b.add(b.mul(row, source[1]), column)))
            code.store(value, code.at(to[0], b.add(b.mul(row, to[1]), column)))
        code.use(code.widest)
