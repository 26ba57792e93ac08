"""Matrix products: matrices packed into panels, and kernels that keep a block of the result in registers.

A matrix (K, N) is packed once for all steps of a window: its rows are cut into chunks, its columns into panels as wide
as a kernel; a panel's part in a chunk is contiguous, row by row. Columns that a last panel lacks are 0.
"""

from collections.abc import Iterator

import llvmlite.ir as ir

from charrnn.compiled.code import I64, PTR, Code
from charrnn.compiled.machine import Machine

# Rows of a chunk, at most: a panel of that length stays in a core's cache.
CHUNK = 512
UNROLL = 4


def chunks(k: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the number of rows of each chunk, as equal as can be."""
    count = -(-k // CHUNK)
    for place in range(count):
        low = k * place // count
        yield low, k * (place + 1) // count - low


def panel(machine: Machine, real: ir.Type) -> int:
    """Return the number of columns of a panel."""
    return machine.vectors * machine.vector_bytes // (8 if isinstance(real, ir.DoubleType) else 4)


class Products:
    """The functions of a module that products with packed matrices need."""

    def __init__(self, module: ir.Module, machine: Machine, real: ir.Type):
        self.module, self.machine, self.real = module, machine, real
        self.panel = panel(machine, real)
        self.kernels = {rows: self._kernel(rows) for rows in range(1, machine.rows + 1)}
        self._packs: dict[bool, ir.Function] = {}

    def packed_size(self, k: int, n: int) -> int:
        """Return how many numbers a packed matrix (K, N) has."""
        return k * -(-n // self.panel) * self.panel

    def _kernel(self, rows: int) -> ir.Function:
        """Emit C = Z + A P for some rows and a panel P (K, its width); lda, ldc, ldz: the lengths of the rows."""
        code = Code(self.module, self.machine, self.real, f"kernel{rows}", [PTR, I64, PTR, I64, PTR, I64, PTR, I64])
        code.private()
        b, lanes = code.b, code.lanes
        a, lda, p, k, c, ldc, z, ldz = code.function.args
        cells = [(row, vector) for row in range(rows) for vector in range(self.machine.vectors)]
        a_rows = [code.at(a, b.mul(lda, code.i(row))) for row in range(rows)]

        def of(base: ir.Value, length: ir.Value, row: int, vector: int) -> ir.Value:
            return code.at(code.at(base, b.mul(length, code.i(row))), vector * lanes)

        sums = {cell: code.load(of(z, ldz, *cell)) for cell in cells}
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
            code.store(sums[cell], of(c, ldc, *cell))
        b.ret_void()
        return code.function

    def pack(self, code: Code, matrix: ir.Value, packed: ir.Value, k: int, n: int, transposed: bool) -> None:
        """Emit the packing of a matrix (K, N), or of the transpose of a matrix (N, K)."""
        if transposed not in self._packs:
            self._packs[transposed] = self._pack(transposed)
        width = self.packed_size(1, n)
        for low, count in chunks(k):
            source = code.at(matrix, low if transposed else low * n)
            length = k if transposed else n
            code.b.call(
                self._packs[transposed],
                [source, code.i(length), code.at(packed, low * width), code.i(count), code.i(n)],
            )

    def _pack(self, transposed: bool) -> ir.Function:
        """Emit the packing of a chunk of `count` rows; `length` is the distance of two rows in memory."""
        name = "pack_transposed" if transposed else "pack"
        code = Code(self.module, self.machine, self.real, name, [PTR, I64, PTR, I64, I64])
        code.private()
        b = code.b
        source, length, packed, count, n = code.function.args
        panels = b.sdiv(b.add(n, code.i(self.panel - 1)), code.i(self.panel))
        code.use(1)
        with code.loop(0, panels) as j:
            first = b.mul(j, code.i(self.panel))
            there = code.at(packed, b.mul(first, count))
            left = b.sub(n, first)
            wide = b.select(b.icmp_signed("<", left, code.i(self.panel)), left, code.i(self.panel))
            with code.loop(0, count) as row:
                to = code.at(there, b.mul(row, code.i(self.panel)))
                with code.loop(0, wide) as column:
                    place = b.add(first, column)
                    at = b.add(b.mul(place, length), row) if transposed else b.add(b.mul(row, length), place)
                    code.store(code.load(code.at(source, at)), code.at(to, column))
                with code.loop(wide, self.panel) as column:
                    code.store(code.number(0.0), code.at(to, column))
        b.ret_void()
        return code.function

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
        b, most = code.b, self.machine.rows
        width = self.packed_size(1, n)
        blocks = b.sdiv(b.add(rows, code.i(most - 1)), code.i(most))
        size, larger = b.sdiv(rows, blocks), b.srem(rows, blocks)
        zeros = self._zeros()
        for place, (low, count) in enumerate(chunks(k)):
            begin = c if place else z
            for whole in (True, False):
                first, last = (0, n // self.panel) if whole else (n // self.panel, width // self.panel)
                if first == last:
                    continue
                with code.loop(first, last) as j, code.loop(0, blocks) as i:
                    more = b.icmp_signed("<", i, larger)
                    m = b.add(b.mul(i, size), b.select(more, i, larger))
                    height = b.add(size, b.zext(more, I64))
                    column = b.mul(j, code.i(self.panel))
                    panel = code.at(packed, b.add(b.mul(column, code.i(count)), code.i(low * width)))
                    left = [
                        code.at(a[0], b.add(b.mul(m, code.i(a[1])), code.i(low))),
                        code.i(a[1]),
                        panel,
                        code.i(count),
                    ]

                    def block(of: tuple[ir.Value, int], m: ir.Value = m, column: ir.Value = column) -> list[ir.Value]:
                        return [code.at(of[0], b.add(b.mul(m, code.i(of[1])), column)), code.i(of[1])]

                    nothing = [zeros, code.i(0)]
                    if whole:
                        self._choose(code, height, [*left, *block(c), *(block(begin) if begin else nothing)])
                        continue
                    # The kernel would read and write beyond the last column: it works on the tile.
                    own = [tile, code.i(self.panel)]
                    rest = n - n // self.panel * self.panel
                    if begin:
                        self._copy(code, height, block(begin), own, rest)
                    self._choose(code, height, [*left, *own, *(own if begin else nothing)])
                    self._copy(code, height, own, block(c), rest)

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
    def _copy(code: Code, height: ir.Value, source: list[ir.Value], to: list[ir.Value], columns: int) -> None:
        b = code.b
        code.use(1)
        with code.loop(0, height) as row, code.loop(0, columns) as column:
            value = code.load(code.at(source[0], b.add(b.mul(row, source[1]), column)))
            code.store(value, code.at(to[0], b.add(b.mul(row, to[1]), column)))
        code.use(code.widest)

    def _zeros(self) -> ir.GlobalVariable:
        known = self.module.globals.get("zeros")
        if known is None:
            known = ir.GlobalVariable(self.module, ir.ArrayType(self.real, self.panel), "zeros")
            known.initializer, known.linkage, known.global_constant = (
                ir.Constant(known.value_type, None),
                "internal",
                True,
            )
        return known
