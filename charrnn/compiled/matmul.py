"""Products of two matrices with many rows: those of all steps of a window at once, and the gradients of matrices."""

from functools import partial

import llvmlite.ir as ir

from charrnn.compiled.cache import cached, key
from charrnn.compiled.code import I64, PTR, Code, zeros
from charrnn.compiled.machine import Machine
from charrnn.compiled.product import CHUNK, REALS, Products, chunks, library, panel
from charrnn.compiled.scan import Native, this_machine

# A strip of A is so many times the rows of a kernel: with a chunk of columns it stays in a core's cache.
STRIP = 10
# Numbers after each row of a transposed chunk: rows at a distance of a power of two would share a few places of the
# cache.
GAP = 16


class MatMul(Native):
    """Fills C, (M, N), with a product of A and B: A B, or A B^T, or A^T B; the first is (M, K) by (K, N).

    sizes: M, K, N. The other outputs are memory, of as many numbers as `memory` says. The sums are always added up in
    the same order.
    """

    def __init__(self, form: str, dtype: str, machine: Machine | None = None):
        """form: "ab", "abt" or "atb"."""
        machine = machine or this_machine()
        self.form, self.panel, self.rows = form, panel(machine, dtype), machine.rows
        # It is loaded first, as the code calls it.
        products = library(machine, dtype)
        make = partial(self._code, form, dtype, machine)
        super().__init__(
            machine.load(cached(key(machine, "matmul", products.loaded.digest, form, dtype), make)), "matmul"
        )

    def memory(self, m: int, k: int, n: int) -> list[int]:
        """Return the sizes of the memory for a chunk of B and of A^T, and for a tile."""
        chunk = min(k, CHUNK)
        transposed = m * (chunk + GAP) if self.form == "atb" else 0
        return [chunk * -(-n // self.panel) * self.panel, transposed, self.rows * self.panel]

    @staticmethod
    def _code(form: str, dtype: str, machine: Machine) -> bytes:
        module = ir.Module("matmul")
        module.triple = machine.triple
        products = Products(module, machine, dtype)
        code = Code(module, machine, REALS[dtype], "matmul", [PTR, PTR])
        b, (outputs, inputs) = code.b, code.function.args
        c, packed, transposed, tile = (code.load(code.at(outputs, place, PTR), PTR) for place in range(4))
        sizes, left, right = (code.load(code.at(inputs, place, PTR), PTR) for place in range(3))
        m, k, n = (code.load(code.at(sizes, place, I64), I64) for place in range(3))
        nothing = zeros(module, products.real, products.panel)
        with code.flushing():
            for chunk, low, count in chunks(code, k):
                if form == "abt":
                    products.call(code, "pack_transposed", [code.at(right, low), k, packed, count, n])
                else:
                    products.call(code, "pack", [code.at(right, b.mul(low, n)), n, packed, count, n])
                a, length = code.at(left, low), k
                if form == "atb":
                    a, length = transposed, b.add(count, code.i(GAP))
                    products.call(code, "transpose", [code.at(left, b.mul(low, m)), m, a, length, count, m])
                first = b.icmp_signed("==", chunk, code.i(0))
                with code.loop(0, m, STRIP * machine.rows) as row:
                    height = code.least(b.sub(m, row), code.i(STRIP * machine.rows))
                    result = code.at(c, b.mul(row, n))
                    # After the first chunk, the result itself is what is added to.
                    start = [b.select(first, x, y) for x, y in ((nothing, result), (code.i(0), n))]
                    moves = b.select(first, code.i(0), code.i(1))
                    of_a = [code.at(a, b.mul(row, length)), length]
                    given = [height, count, n, *of_a, packed, result, n, *start, moves, tile]
                    products.call(code, "multiply", given)
        b.ret_void()
        return machine.object_code(module)
