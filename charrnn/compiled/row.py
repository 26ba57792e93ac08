"""The product of one row with a matrix, whose weights are stored as float32, bfloat16 or int8.

It reads every weight once, so its speed is that of memory, and smaller weights are faster. A matrix is cut into panels
of WIDE vectors of columns, the last one of fewer; a panel is contiguous, row by row. Columns that a last vector lacks
are 0.
"""

import llvmlite.ir as ir
import numpy as np

from charrnn.compiled.code import I8, I32, I64, PTR, Code, zeros
from charrnn.compiled.forms import BYTES, integers_of, upper_halves
from charrnn.compiled.machine import Machine
from charrnn.compiled.team import Team

# Vectors of a panel: as many sums as hide the latency of an addition.
WIDE = 8
UNROLL = 4
# Several threads compute a product of at least so many multiply-adds; a smaller one is done before they have met.
SHARED = 1 << 17


def panels(n: int, form: str, lanes: int) -> list[tuple[int, int]]:
    """Return the first column and the number of vectors of each panel of a matrix with n columns."""
    whole, rest = divmod(n, WIDE * lanes)
    vectors = -(-rest // lanes)
    # Two vectors of bfloat16 share one of 32 bits.
    vectors += vectors % 2 if form == "bf16" else 0
    return [(j * WIDE * lanes, WIDE) for j in range(whole)] + ([(whole * WIDE * lanes, vectors)] if rest else [])


def is_shared(k: int, n: int, lanes: int) -> bool:
    """Return whether several threads compute the product with a matrix (k, n)."""
    return k * n >= SHARED and n >= 2 * WIDE * lanes


def scale_bytes(n: int, form: str, lanes: int) -> int:
    """Return the size of the scales of the columns, which come before the panels if the form of weights has them."""
    return 4 * lanes * sum(vectors for _, vectors in panels(n, form, lanes)) if form == "int8" else 0


def packed_row(matrix: np.ndarray, form: str, lanes: int) -> np.ndarray:
    """Return a packed float32 matrix (K, N), as bytes."""
    k, n = matrix.shape
    parts: list[np.ndarray] = []
    values: np.ndarray
    if form == "int8":
        values, scales = integers_of(matrix)
        parts.append(np.pad(scales, (0, scale_bytes(n, form, lanes) // 4 - n)))
    else:
        values = upper_halves(matrix) if form == "bf16" else matrix
    for low, vectors in panels(n, form, lanes):
        wide = vectors * lanes
        panel = np.zeros((k, wide), values.dtype)
        columns = values[:, low : low + wide]
        panel[:, : columns.shape[1]] = columns
        if form == "bf16":
            # Of two vectors, one is in the lower halves and one in the upper ones.
            panel = panel.reshape(k, vectors // 2, 2, lanes).swapaxes(-1, -2)
        parts.append(panel)
    return np.concatenate([np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in parts])


class RowProducts:
    """The functions of a module for products of one row, in place of `charrnn.compiled.product.Products`."""

    def __init__(self, module: ir.Module, machine: Machine, real: ir.Type, form: str):
        self.module, self.machine, self.real, self.form = module, machine, real, form
        self.lanes = machine.vector_bytes // 4
        self.panel = WIDE * self.lanes
        self._kernels: dict[int, ir.Function] = {}
        self._team: Team | None = None

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
        job: ir.Value,
    ) -> None:
        """Emit c = z + a P for one row; without z, c = a P. `tile`: memory for a last panel. `job`: of helpers."""
        b, parts = code.b, panels(n, self.form, self.lanes)
        weights = code.at(packed, scale_bytes(n, self.form, self.lanes), I8)
        whole = [low for low, vectors in parts if vectors == WIDE and low + self.panel <= n]
        shared = is_shared(k, n, self.lanes)
        # One call does all whole panels.
        for low, vectors in ([parts[0]] if whole else []) + parts[len(whole) :]:
            panel = code.at(weights, low * k * BYTES[self.form], I8)
            given = [a[0], panel, code.at(packed, low), code.i(k)]
            count = len(whole) if low < len(whole) * self.panel else 1
            rest = n - low if low + vectors * self.lanes > n else 0
            start = [code.at(z[0], low), code.i(1)] if z else [zeros(self.module, self.real, self.panel), code.i(0)]
            if rest:
                # The kernel would read and write beyond the last column.
                if z:
                    self._copy(code, start[0], tile, rest)
                    start = [tile, code.i(1)]
                b.call(self._kernel(vectors), [*given, *start, tile, code.i(count)])
                self._copy(code, tile, code.at(c[0], low), rest)
            elif shared and low == 0:
                self.team(code).announce(code, job, [*given, *start, code.at(c[0], low)], count)
            else:
                b.call(self._kernel(vectors), [*given, *start, code.at(c[0], low), code.i(count)])

        if shared:
            self.team(code).finish(code, job, len(whole))

    def team(self, code: Code) -> Team:
        """Return the functions that share panels, made at the first call."""
        self._team = self._team or Team(self._kernel(WIDE), code, self.form, self.panel)
        return self._team

    @staticmethod
    def _copy(code: Code, source: ir.Value, to: ir.Value, columns: int) -> None:
        for u in code.columns(columns):
            code.store(code.load(code.at(source, u)), code.at(to, u))

    def _kernel(self, vectors: int) -> ir.Function:
        if vectors not in self._kernels:
            self._kernels[vectors] = self._emit(vectors)
        return self._kernels[vectors]

    def _emit(self, vectors: int) -> ir.Function:
        """Emit y = z + scale * (x P) for `count` panels of this many vectors; `moves` is 0 if z is one zero vector."""
        kinds = [PTR, PTR, PTR, I64, PTR, I64, PTR, I64]
        code = Code(self.module, self.machine, self.real, f"row{vectors}", kinds)
        code.private()
        b, lanes = code.b, code.lanes
        x, weights, scales, k, z, moves, y, count = code.function.args
        length = vectors * lanes * BYTES[self.form]
        whole = b.and_(k, code.i(-UNROLL))
        with code.loop(0, count) as j:
            column = b.mul(j, code.i(vectors * lanes))
            panel = code.at(weights, b.mul(b.mul(j, k), code.i(length)), I8)
            sums: list[ir.Value] = [code.number(0.0)] * vectors
            for start, stop, unroll in ((code.i(0), whole, UNROLL), (whole, k, 1)):
                before, head, body, after = b.block, *(b.append_basic_block() for _ in range(3))
                b.branch(head)
                b.position_at_end(head)
                n = b.phi(I64)
                n.add_incoming(start, before)
                phis = [b.phi(code.type) for _ in sums]
                for phi, value in zip(phis, sums, strict=True):
                    phi.add_incoming(value, before)
                b.cbranch(b.icmp_signed("<", n, stop), body, after)
                b.position_at_end(body)
                sums = list(phis)
                for step in range(unroll):
                    now = b.add(n, code.i(step), flags=("nsw",))
                    one = code.load_one(code.at(x, now))
                    line = code.at(panel, b.mul(now, code.i(length)), I8)
                    columns = self._row(code, line, vectors)
                    sums = [code.fma(one, value, total) for value, total in zip(columns, sums, strict=True)]
                n.add_incoming(b.add(n, code.i(unroll), flags=("nsw",)), b.block)
                for phi, value in zip(phis, sums, strict=True):
                    phi.add_incoming(value, b.block)
                b.branch(head)
                b.position_at_end(after)
                sums = list(phis)
            for place, total in enumerate(sums):
                at = b.add(column, code.i(place * lanes))
                added = code.load(code.at(z, b.mul(at, moves)))
                if self.form == "int8":
                    value = code.fma(total, code.load(code.at(scales, at)), added)
                else:
                    value = code.add(total, added)
                code.store(value, code.at(y, at))
        b.ret_void()
        return code.function

    def _row(self, code: Code, line: ir.Value, vectors: int) -> list[ir.Value]:
        """Return the vectors of a row of a panel as float32."""
        b, lanes = code.b, code.lanes
        if self.form == "float32":
            return [code.load(code.at(line, place * lanes)) for place in range(vectors)]
        integers = ir.VectorType(I32, lanes)
        if self.form == "int8":
            return [
                b.sitofp(
                    b.sext(b.load(code.at(line, place * lanes, I8), align=1, typ=ir.VectorType(I8, lanes)), integers),
                    code.type,
                )
                for place in range(vectors)
            ]
        values = []
        for pair in range(vectors // 2):
            both = b.load(code.at(line, pair * lanes, I32), align=4, typ=integers)
            lower = b.shl(both, ir.Constant(integers, [16] * lanes))
            upper = b.and_(both, ir.Constant(integers, [-0x10000] * lanes))
            values += [b.bitcast(lower, code.type), b.bitcast(upper, code.type)]
        return values
